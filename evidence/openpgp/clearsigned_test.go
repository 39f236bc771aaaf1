package openpgp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/evidence"
	"repronet.dev/internal/needtest"
)

// clearsigned makes a clearsigned message.
func clearsigned(t testing.TB, text string, at time.Time, people ...*pgp.Entity) []byte {
	t.Helper()
	var keys []*packet.PrivateKey
	for _, e := range people {
		keys = append(keys, e.PrivateKey)
	}
	var b bytes.Buffer
	w, err := clearsign.EncodeMulti(&b, keys, config(at))
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestClearsigned(t *testing.T) {
	alice, bob := newKey(t, "alice", 0), newKey(t, "bob", 0)
	// Blanks at lines' ends are not signed; a line that begins with a dash is escaped.
	plain := hexA + "  x.tar.gz  \n- a dash\n\n" + hexB + "  y.tar.gz\n"
	message := clearsigned(t, plain, year(2021), alice, bob)
	later := sign(t, bob.PrivateKey, []byte(strings.ReplaceAll(plain, "  \n", "\n")), year(2022), func(s *packet.Signature) { s.SigType = packet.SigTypeText })
	for name, test := range map[string]struct {
		data []byte
		want int
	}{
		"alone":                       {message, 2},
		"with CR LF":                  {bytes.ReplaceAll(message, []byte("\n"), []byte("\r\n")), 2},
		"between other text":          {append([]byte("Dear all\n"), append(message, "\nYours\n"...)...), 2},
		"with a signature put behind": {append(append(bytes.Clone(message), '\n'), ascii(t, later)...), 3},
	} {
		t.Run(name, func(t *testing.T) {
			messages, err := ParseClearsigned(test.data)
			if err != nil || len(messages) != 1 {
				t.Fatalf("%d messages, %v", len(messages), err)
			}
			s := &Signed{Project: "demo", Text: messages[0].Text, Signature: messages[0].Signature}
			signatures, err := OpenSigned(s, keyring(t, alice, bob).Lookup, now)
			if err != nil || len(signatures) != test.want {
				t.Fatalf("%d signatures, %v", len(signatures), err)
			}
			for _, signature := range signatures {
				if signature.State != evidence.Valid {
					t.Errorf("%s: %s", signature.State, signature.Reason)
				}
			}
			if rows := ParseRows("demo", s.Text); len(rows.Claims) != 2 || rows.Total != 3 {
				t.Errorf("rows %+v", rows)
			}
		})
	}
	if messages, err := ParseClearsigned(append(bytes.Clone(message), message...)); err != nil || len(messages) != 2 {
		t.Errorf("two messages: %d, %v", len(messages), err)
	}
}

func TestClearsignedRefuses(t *testing.T) {
	message := clearsigned(t, hexA+"  x\n", year(2021), newKey(t, "alice", 0))
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"cut off":          message[:len(message)-40],
		"without armor":    message[:bytes.Index(message, signatureBegin)],
		"the second cut":   append(bytes.Clone(message), message[:100]...),
		"a strange header": bytes.Replace(message, []byte("Hash:"), []byte("Evil:"), 1),
		"very many":        bytes.Repeat(message, maxMessages+1),
	} {
		if messages, err := ParseClearsigned(data); err == nil {
			t.Errorf("%s: %d messages", name, len(messages))
		}
	}
}

// TestClearsignedByGPG: what gpg takes apart and what is taken apart here is the
// same text, and its signature verifies.
func TestClearsignedByGPG(t *testing.T) {
	needtest.Program(t, "gpg", "gnupg")
	alice := newKey(t, "alice", 0)
	dir, err := os.MkdirTemp("", "gpg") //nolint:usetesting // the name of a socket in it has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	message := clearsigned(t, hexA+"  x.tar.gz\t \n-dash\n", year(2021), alice)
	key, signed := filepath.Join(dir, "key"), filepath.Join(dir, "signed")
	for file, data := range map[string][]byte{key: public(t, alice), signed: message} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gpg := func(args ...string) []byte {
		command := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", dir, "--batch", "--quiet", "--no-autostart", "--trust-model", "always"}, args...)...)
		out, err := command.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return out
	}
	gpg("--import", key)
	text := gpg("--decrypt", signed)
	messages, err := ParseClearsigned(message)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(messages[0].Text) + "\n"; got != string(text) {
		t.Errorf("ours %q, gpg's %q", got, text)
	}
	// The parts are a text and a detached signature for gpg too.
	for file, data := range map[string][]byte{"text": messages[0].Text, "text.asc": messages[0].Signature} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gpg("--verify", filepath.Join(dir, "text.asc"), filepath.Join(dir, "text"))
}

func FuzzParseClearsigned(f *testing.F) {
	alice := newKey(f, "alice", 0)
	lookup := keyring(f, alice).Lookup
	genuine := clearsigned(f, hexA+"  x\n", year(2021), alice)
	f.Add(genuine)
	f.Add(append(bytes.Clone(genuine), genuine...))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := ParseClearsigned(data)
		if err != nil {
			return
		}
		for _, m := range messages {
			signatures, err := OpenSigned(&Signed{Project: "demo", Text: m.Text, Signature: m.Signature}, lookup, now)
			if err != nil {
				continue
			}
			for _, s := range signatures {
				if s.State.Counts() && strings.TrimSuffix(strings.ReplaceAll(string(m.Text), "\r", ""), "\n") != hexA+"  x" {
					t.Errorf("a text that nobody signed counts: %q", m.Text)
				}
			}
		}
	})
}
