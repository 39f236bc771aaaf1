package sigstore_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"repronet.dev/internal/needtest"
	"repronet.dev/signing"
)

// TestOpenSSL: a program that shares no code with this one comes to the same
// conclusions.
func TestOpenSSL(t *testing.T) {
	needtest.Program(t, "openssl", "openssl")
	for _, algorithm := range []signing.Algorithm{signing.Ed25519, signing.P256} {
		signer, other := newSigner(t, algorithm), newSigner(t, algorithm)
		payload := encode(t, statementOf(2))
		good := sign(t, signer, payload)
		for _, test := range []struct {
			name   string
			bundle []byte
			key    *signing.PublicKey
			ok     bool
		}{
			{"good", good, signer.Public(), true},
			{"another key", good, other.Public(), false},
			{"tampered payload", change(t, good, func(_, e map[string]any) {
				e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte("hello"), []byte("jello"), 1))
			}), signer.Public(), false},
			{"another payload type", change(t, good, func(_, e map[string]any) { e["payloadType"] = "text/plain" }), signer.Public(), false},
			{"two signatures", change(t, good, func(_, e map[string]any) {
				e["signatures"] = append(e["signatures"].([]any), signatureOf(e))
			}), signer.Public(), false},
		} {
			t.Run(string(algorithm)+"/"+test.name, func(t *testing.T) {
				dir := t.TempDir()
				bundle, key := filepath.Join(dir, "bundle.json"), filepath.Join(dir, "key.pem")
				for path, data := range map[string][]byte{bundle: test.bundle, key: test.key.PEM()} {
					if err := os.WriteFile(path, data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var stdout, stderr bytes.Buffer
				command := exec.CommandContext(t.Context(), "../../e2e/openssl-verify.sh", bundle, key)
				command.Stdout, command.Stderr = &stdout, &stderr
				err := command.Run()
				switch {
				case test.ok && err != nil:
					t.Errorf("%v\n%s", err, &stderr)
				case test.ok && !bytes.Equal(stdout.Bytes(), payload):
					t.Errorf("it prints %q, want the payload", &stdout)
				case !test.ok && (err == nil || stdout.Len() > 0):
					t.Errorf("it accepts the bundle: %s", &stdout)
				}
			})
		}
	}
}
