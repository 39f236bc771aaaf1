//go:build long

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// A sigstoreDeployment is Sigstore on loopback: services of the real project, with an
// issuer of identity tokens and a certificate log that are this test's.
type sigstoreDeployment struct {
	issuer                     string // URL
	signingConfig, trustedRoot string // files
}

type object = map[string]any

func startSigstore(t *testing.T) *sigstoreDeployment {
	t.Helper()
	programs := os.Getenv(sigstoreEnv)
	if programs == "" {
		t.Fatalf("%s names no Fulcio, timestamp authority and Rekor: run make test-sigstore", sigstoreEnv)
	}
	dir, err := os.MkdirTemp("", "sigstore") //nolint:usetesting // Fulcio's socket has a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	issuer, ctLog := startIssuer(t), newCTLog(t)
	config := filepath.Join(dir, "fulcio.json")
	writeJSON(t, config, object{"OIDCIssuers": object{issuer: object{
		"IssuerURL": issuer, "ClientID": "sigstore", "Type": "github-workflow", "Contact": "nobody@example.org", "Description": "a test",
	}}})
	logKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(logKey)
	if err != nil {
		t.Fatal(err)
	}
	logKeyFile := filepath.Join(dir, "rekor.pem")
	if err := os.WriteFile(logKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		t.Fatal(err)
	}

	ports := freePorts(t, 7)
	serve := func(name string, args ...string) {
		t.Helper()
		command := exec.Command(filepath.Join(programs, name), append([]string{"serve"}, args...)...)
		command.Dir = dir
		log := messages(t, name)
		command.Stdout, command.Stderr = log, log
		startProgram(t, command)
	}
	serve("fulcio", "--ca", "ephemeralca", "--config-path", config, "--ct-log-url", ctLog.url,
		"--http-host", "127.0.0.1", "--http-port", ports[0], "--grpc-host", "127.0.0.1", "--grpc-port", ports[1],
		"--metrics-port", ports[2], "--legacy-unix-domain-socket", filepath.Join(dir, "fulcio.sock"))
	serve("timestamp-server", "--host", "127.0.0.1", "--port", ports[3], "--timestamp-signer", "memory", "--disable-ntp-monitoring")
	serve("rekor-server", "--hostname", "127.0.0.1", "--http-port", ports[4], "--grpc-port", ports[5], "--http-metrics-port", ports[6],
		"--storage-dir", filepath.Join(dir, "rekor"), "--signer-filepath", logKeyFile,
		"--checkpoint-interval", "200ms", "--batch-max-age", "50ms")
	fulcio, timestamps, rekor := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[3], "http://127.0.0.1:"+ports[4]

	var bundle struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err := json.Unmarshal(poll(t, fulcio+"/api/v2/trustBundle"), &bundle); err != nil || len(bundle.Chains) == 0 {
		t.Fatalf("Fulcio's certificates: %v", err)
	}
	authority := strings.Join(bundle.Chains[0].Certificates, "\n")
	poll(t, rekor+"/healthz")
	validFor := object{"start": "2020-01-01T00:00:00Z"}
	s := &sigstoreDeployment{issuer: issuer, signingConfig: filepath.Join(dir, "signing_config.json"), trustedRoot: filepath.Join(dir, "trusted_root.json")}
	writeJSON(t, s.signingConfig, object{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls":    []object{{"url": fulcio, "majorApiVersion": 1, "validFor": validFor, "operator": "test"}},
		"rekorTlogUrls": []object{
			{"url": "http://127.0.0.1:1", "majorApiVersion": 1, "validFor": validFor, "operator": "test"},
			{"url": rekor, "majorApiVersion": 2, "validFor": validFor, "operator": "test"},
		},
		"tsaUrls":         []object{{"url": timestamps + "/api/v1/timestamp", "majorApiVersion": 1, "validFor": validFor, "operator": "test"}},
		"rekorTlogConfig": object{"selector": "ANY"}, "tsaConfig": object{"selector": "ANY"},
	})
	writeJSON(t, s.trustedRoot, object{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":                  []object{logOf(t, rekor, logKey, validFor)},
		"ctlogs":                 []object{logOf(t, ctLog.url, ctLog.key, validFor)},
		"certificateAuthorities": []object{authorityOf(t, fulcio, []byte(authority), validFor)},
		"timestampAuthorities":   []object{authorityOf(t, timestamps, poll(t, timestamps+"/api/v1/timestamp/certchain"), validFor)},
	})
	return s
}

// startProgram starts a program that is killed when the test ends.
func startProgram(t *testing.T, command *exec.Cmd) {
	t.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
}

func logOf(t *testing.T, url string, key *ecdsa.PrivateKey, validFor object) object {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return object{
		"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": object{"keyId": sum[:]},
		"publicKey": object{"rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": validFor},
	}
}

func authorityOf(t *testing.T, url string, chain []byte, validFor object) object {
	t.Helper()
	var certificates []object
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		certificates = append(certificates, object{"rawBytes": block.Bytes})
	}
	if len(certificates) == 0 {
		t.Fatalf("%s has no certificates: %s", url, chain)
	}
	return object{"uri": url, "certChain": object{"certificates": certificates}, "validFor": validFor}
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// freePorts returns ports that nobody listens at.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ports = append(ports, fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// poll asks until the answer's status is 200.
func poll(t *testing.T, url string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		body, err := fetch(ctx, url)
		if err == nil {
			return body
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", url, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// listen serves on loopback until the test ends, and returns the address.
func listen(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with the test
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}
