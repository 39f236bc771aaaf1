package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/internal/chdb/servertest"
	"repronet.dev/signing/signingtest"
)

// TestServedOverTLS keeps the index in a ClickHouse server that is reached over TLS, by each
// protocol and with settings in its address, under a certificate that the system is told to
// believe; and not at all under one that it is not.
func TestServedOverTLS(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	database := servertest.Start(t)
	certificate, authority := newCertificate(t)
	for name, test := range map[string]struct {
		protocol       clickhouse.Protocol
		scheme, secure string
	}{
		"native": {clickhouse.Native, "clickhouse", "&secure=true"},
		"http":   {clickhouse.HTTP, "https", ""},
	} {
		t.Run(name, func(t *testing.T) {
			front := overTLS(t, certificate, database.Address(test.protocol))
			address := strings.NewReplacer(database.Address(test.protocol), front, "http://", "https://").
				Replace(database.URL(test.protocol, "repronet_"+name)) + "?compress=lz4&max_execution_time=50" + test.secure
			data := filepath.Join(t.TempDir(), "data")
			args := []string{"--data", data, "--origin", "tls.example/log", "--listen", "127.0.0.1:0", "--clickhouse", address}

			doubting := exec.CommandContext(t.Context(), programs().Aggregator(), append([]string{"serve", "--check"}, args...)...)
			text, err := doubting.CombinedOutput()
			if err == nil || !strings.Contains(string(text), "signed by unknown authority") {
				t.Errorf("without the authority: %v\n%s", err, text)
			}
			if strings.Contains(string(text), "s3cret") {
				t.Errorf("the password is printed:\n%s", text)
			}

			// It is stopped in order, so it does not end with the context.
			server := exec.CommandContext(context.WithoutCancel(t.Context()), programs().Aggregator(), append([]string{"serve"}, args...)...)
			server.Env = append(os.Environ(), "SSL_CERT_FILE="+authority)
			server.Stderr = messages(t, "the aggregator")
			stdout, err := server.StdoutPipe()
			if err == nil {
				err = server.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := server.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
				if err := server.Wait(); err != nil {
					t.Errorf("the aggregator ended with: %v", err)
				}
			}()
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(t.TempDir(), "builder.pub")
			if err := os.WriteFile(key, signingtest.New(t).Public().PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			a := &network.Aggregator{Programs: programs(), Data: data}
			if _, err := a.Command(t.Context(), "builders enrol", "--operator", "alice", "--key", key); err != nil {
				t.Fatal(err)
			}
			if summary := indexed(t, strings.TrimSpace(line)); summary.LedgerSize != 1 || summary.Indexed != 1 {
				t.Errorf("indexed: %+v", summary)
			}
		})
	}
}

// newCertificate returns a certificate for 127.0.0.1, and the file of the authority that
// signed it: itself.
func newCertificate(t *testing.T) (certificate tls.Certificate, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clickhouse"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}

// overTLS leads TLS connections on to an address, as a server with a certificate of its own
// answers them.
func overTLS(t *testing.T, certificate tls.Certificate, to string) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				server, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer server.Close()
				go func() {
					defer server.(*net.TCPConn).CloseWrite() // never a reset, which would end the server
					_, _ = io.Copy(server, from)
				}()
				_, _ = io.Copy(from, server)
			}()
		}
	}()
	return listener.Addr().String()
}
