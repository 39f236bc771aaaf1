package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// Bounds of a conversation with a mail server.
const (
	mailTime   = 30 * time.Second // for all of it
	mailAnswer = 64 << 10         // bytes that are read of it
)

// Encryption says how a mail server is spoken with.
type Encryption string

// The ways.
const (
	STARTTLS    Encryption = "starttls" // a server that cannot is sent nothing
	TLS         Encryption = "tls"      // from the beginning (RFC 8314)
	Unencrypted Encryption = "none"     // for a server on the same machine
)

// Port is the one that a server listens on for this.
func (e Encryption) Port() int {
	switch e {
	case TLS:
		return 465
	case Unencrypted:
		return 25
	case STARTTLS:
	}
	return 587
}

// Mail is the server that mail is given to, by SMTP.
type Mail struct {
	Host string
	Port int
	// User and Password are for a server that asks for them; empty: no sign-in.
	User, Password string
	Encryption     Encryption
	From           string
	TLS            *tls.Config // nil: the system's authorities, and Host as the name
}

// A letter is a mail to one address.
type letter struct {
	id          string // the same for each attempt
	to, subject string
	text        string
	unsubscribe string // URL
}

// send gives a letter to the server.
func (m *Mail) send(ctx context.Context, l *letter) error {
	message := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(message.From(m.From), message.To(l.to)); err != nil {
		return err
	}
	base, err := url.Parse(l.unsubscribe)
	if err != nil {
		return err
	}
	message.SetMessageIDWithValue(l.id + "@" + base.Hostname())
	message.SetDate()
	message.Subject(l.subject)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nothing answers by itself
	if base.Scheme == "https" {
		err = message.SetListUnsubscribeOneClick(l.unsubscribe) // RFC 8058, which is for https alone
	} else {
		message.SetListUnsubscribe(l.unsubscribe)
	}
	if err != nil {
		return err
	}
	message.SetBodyString(mail.TypeTextPlain, l.text)
	return m.talk(ctx, func(ctx context.Context, client *mail.Client) error {
		return client.DialAndSendWithContext(ctx, message)
	})
}

// Check reports why the server would take no mail: it is spoken with, and signed in to.
func (m *Mail) Check(ctx context.Context) error {
	return m.talk(ctx, func(ctx context.Context, client *mail.Client) error {
		if err := client.DialWithContext(ctx); err != nil {
			return err
		}
		return client.Close()
	})
}

// talk does something with a client of the server, and leaves no connection behind.
func (m *Mail) talk(ctx context.Context, do func(ctx context.Context, client *mail.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	line := &line{mail: m}
	defer line.close()
	defer context.AfterFunc(ctx, line.close)()
	client, err := mail.NewClient(m.Host, m.options(line)...)
	if err != nil {
		return err
	}
	return do(ctx, client)
}

func (m *Mail) options(l *line) []mail.Option {
	options := []mail.Option{mail.WithPort(m.Port), mail.WithTimeout(mailTime), mail.WithDialContextFunc(l.dial), mail.WithTLSConfig(m.config())}
	switch m.Encryption {
	case STARTTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case TLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic)) // the connection has it already
	case Unencrypted:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(m.Password))
	}
	return options
}

func (m *Mail) config() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.TLS != nil {
		config = m.TLS.Clone()
	}
	config.ServerName = m.Host
	return config
}

// A line is the connection to a mail server. The library leaves one open that fails early, and
// waits for its deadline when the context ends.
type line struct {
	mail *Mail
	rest int64 // how much more is read; the conversation alone uses it
	mu   sync.Mutex
	conn net.Conn // guarded by mu; nil: there is none yet
	over bool     // guarded by mu
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTime}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.conn, l.rest = conn, mailAnswer
	over := l.over
	l.mu.Unlock()
	if over {
		return nil, errors.Join(context.Canceled, conn.Close())
	}
	bounded := &boundedConn{Conn: conn, rest: &l.rest}
	if l.mail.Encryption != TLS {
		return bounded, nil
	}
	encrypted := tls.Client(bounded, l.mail.config())
	return encrypted, encrypted.HandshakeContext(ctx)
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// A boundedConn is read until the rest is.
type boundedConn struct {
	net.Conn
	rest *int64
}

// Read implements [io.Reader].
func (c *boundedConn) Read(p []byte) (int, error) {
	if *c.rest <= 0 {
		return 0, errors.New("the mail server says more than it should")
	}
	n, err := io.LimitReader(c.Conn, *c.rest).Read(p)
	*c.rest -= int64(n)
	return n, err
}

// CheckAddress reports why mail cannot be sent to an address. It is taken as it is written:
// without a name, comments, quotes or anything that could begin another header.
func CheckAddress(address string) error {
	const longest = 254 // RFC 5321, 4.5.3.1.3, without the angle brackets
	local, domain, found := strings.Cut(address, "@")
	switch {
	case len(address) > longest:
		return fmt.Errorf("the mail address is longer than %d bytes", longest)
	case !found || local == "" || strings.Trim(local, addressText+".") != "" || strings.Contains(local, "..") || strings.HasPrefix(local, ".") || strings.HasSuffix(local, "."):
	case !isHostName(domain):
	default:
		return nil
	}
	return fmt.Errorf("%.100q is no mail address such as anna@example.org", address)
}

// addressText is what the local part of an address is made of beside dots (RFC 5322, atext).
const addressText = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"

func isHostName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, letters) != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}
