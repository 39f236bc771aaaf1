package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// secretSize is that of the keys that webhooks are signed with; Standard Webhooks has them of
// 24 to 64 bytes.
const secretSize = 32

func newSecret() []byte {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// secretText writes a secret as Standard Webhooks has it.
func secretText(secret []byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(secret)
}

// signed are the headers by which the receiver of a webhook knows from whom it is, and which
// message it is, by Standard Webhooks 1.0 (https://www.standardwebhooks.com).
func signed(secret []byte, id string, at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	header := http.Header{}
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", timestamp)
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return header
}

// An action is what a link in a mail is for.
type action string

const (
	confirm     action = "confirm"
	unsubscribe action = "unsubscribe"
)

// tokenSize is that of the HMACs in links, in bytes.
const tokenSize = 16

// token shows that a link is from a mail to a subscription's address: nobody else can make it,
// and one for an action is none for the other.
func token(secret []byte, id string, to action) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s %s", to, id)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenSize])
}
