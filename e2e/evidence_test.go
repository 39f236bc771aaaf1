package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// testEvidence takes a bundle and its receipt from the API and has both checked
// by programs that know nothing of this project: openssl, and Go's packages for
// the checksum database of modules.
func (b *builds) testEvidence(t *testing.T) {
	claims := map[string]dashboard.Claim{} // by operator
	key, _ := b.keys()
	for _, c := range getOutput(t, b.URL, key).Claims {
		claims[c.Operator] = c
	}
	bundle, err := fetch(t.Context(), fmt.Sprintf("%s/api/v1/entries/%d", b.URL, claims["alice"].Index))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("openssl", func(t *testing.T) { b.checkWithOpenSSL(t, bundle, key) })
	t.Run("x mod", func(t *testing.T) { b.checkWithXMod(t, bundle, claims["alice"].Index) })
}

func (b *builds) checkWithOpenSSL(t *testing.T, bundle []byte, key string) {
	file := filepath.Join(t.TempDir(), "bundle.json")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	for operator, want := range map[string]int{"alice": 0, "bob": 1} {
		command := exec.CommandContext(t.Context(), "./openssl-verify.sh", file, filepath.Join(b.reporters[operator].Dir, "builder.pub"))
		statement, err := command.Output()
		if got := command.ProcessState.ExitCode(); got != want {
			t.Fatalf("alice's bundle under the key of %s: exit status %d (%v), want %d", operator, got, err, want)
		}
		if want == 0 && !strings.Contains(string(statement), key) {
			t.Errorf("the statement does not name %s: %s", key, statement)
		}
	}
}

func (b *builds) checkWithXMod(t *testing.T, bundle []byte, index uint64) {
	// Who sends a statement again gets the receipt of the first time.
	response, err := http.Post(b.URL+api.SubmitPath, api.BundleType, bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var result struct {
		Duplicate bool
		Receipt   map[string]any
	}
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
		t.Fatal(err)
	}
	if !result.Duplicate || result.Receipt["index"] != float64(index) {
		t.Fatalf("the statement of index %d was answered with %+v", index, result)
	}
	program := filepath.Join(t.TempDir(), "xmod")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "repronet.dev/e2e/xmod").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	key, err := fetch(t.Context(), b.URL+api.LogKeyPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []bool{false, true} {
		if wrong {
			result.Receipt["index"] = index + 1
		}
		text, err := json.Marshal(result.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "receipt.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, strings.TrimSpace(string(key)), file).CombinedOutput()
		if (err != nil) != wrong {
			t.Errorf("receipt with a wrong index: %t; xmod says %s (%v)", wrong, out, err)
		}
	}
}
