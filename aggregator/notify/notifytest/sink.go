// Package notifytest has what tests of notices are told at: a real SMTP server that keeps
// what it is given.
package notifytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Config says how a [Sink] is spoken with.
type Config struct {
	TLS            bool // it offers STARTTLS, and takes no password without
	Implicit       bool // it speaks TLS from the beginning, in place of that
	User, Password string
}

// A Mail is what was given to a [Sink].
type Mail struct {
	From string
	To   []string
	*mail.Message
	Text string // the body, decoded
	TLS  bool   // the conversation was encrypted
}

// A Sink is a mail server.
type Sink struct {
	Host string
	Port int
	// Roots has the authority that its certificate is from.
	Roots *x509.CertPool

	config Config
	mu     sync.Mutex // guards mails and refuse
	mails  []Mail
	refuse error
	got    chan struct{}
}

// NewSink starts a server on a loopback port, which ends with the test.
func NewSink(t *testing.T, config Config) *Sink {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{config: config, got: make(chan struct{}, 1000)}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	s.Host = host
	s.Port, _ = strconv.Atoi(port)
	server := smtp.NewServer(s)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "sink.example", 10*time.Second, 10*time.Second
	server.ErrorLog = silent{}
	if config.TLS || config.Implicit {
		server.TLSConfig, s.Roots = certificate(t)
	}
	if config.Implicit {
		l = tls.NewListener(l, server.TLSConfig)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// Refuse has the server refuse what comes, with an error; nil: take it again.
func (s *Sink) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// Mails returns what came so far.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail{}, s.mails...)
}

// Wait waits until so many mails came, and returns them.
func (s *Sink) Wait(t *testing.T, mails int) []Mail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if got := s.Mails(); len(got) >= mails {
			return got
		}
		select {
		case <-s.got:
		case <-ctx.Done():
			t.Fatalf("%d mails came, want %d", len(s.Mails()), mails)
		}
	}
}

// NewSession implements [smtp.Backend].
func (s *Sink) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{sink: s, conn: c}, nil
}

type session struct {
	sink   *Sink
	conn   *smtp.Conn
	known  bool
	letter Mail
}

// AuthMechanisms implements [smtp.AuthSession].
func (s *session) AuthMechanisms() []string {
	if s.sink.config.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements [smtp.AuthSession].
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.sink.config.User || password != s.sink.config.Password {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

func (s *session) Reset() { s.letter = Mail{} }

func (*session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.sink.config.User != "" && !s.known {
		return smtp.ErrAuthRequired
	}
	s.letter.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.To = append(s.letter.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body := message.Body
	if message.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.letter.Message, s.letter.Text = message, string(text)
	_, s.letter.TLS = s.conn.TLSConnectionState()
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if s.sink.refuse != nil {
		return s.sink.refuse
	}
	s.sink.mails = append(s.sink.mails, s.letter)
	s.sink.got <- struct{}{}
	return nil
}

// certificate makes one for 127.0.0.1.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}

// silent takes what the server logs: that clients leave is what tests are about.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}
