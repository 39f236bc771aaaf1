//go:build long

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"repronet.dev/api"
)

// TestSigstoreJoining has an identity bring a key, with a real Fulcio, timestamp
// authority and Rekor: signed by the reporter, and by cosign where there is one.
func TestSigstoreJoining(t *testing.T) {
	at := startSigstore(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(`
admit:
  trusted_root: `+at.trustedRoot+`
  identities:
    - issuer: `+at.issuer+`
      subject: `+jobRepository+jobWorkflow+`
      repository: `+jobRepository+`
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startAggregator(t, "--origin", "sigstore.example/ledger", "--config", config)
	token := at.token(t, "org/repo")
	t.Setenv("SIGSTORE_ID_TOKEN", token)

	v := newVolunteer(t, s.URL, "alice")
	first := v.enrol("--contact", "alice@example.org", "--identity", "sigstore:"+at.signingConfig)
	if first.State != api.Enrolled || first.Tier != "open" {
		t.Fatalf("answered %+v", first)
	}

	cosign := os.Getenv(cosignEnv)
	if cosign == "" {
		t.Logf("%s names no cosign: make test-cosign has it sign, too", cosignEnv)
		return
	}
	again := newVolunteer(t, s.URL, "another")
	payload, _ := again.run(0, "enrol", "--statement")
	dir := t.TempDir()
	statement, bundle := filepath.Join(dir, "request.json"), filepath.Join(dir, "identity.json")
	if err := os.WriteFile(statement, []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), cosign, "attest-blob", "--statement", statement, "--bundle", bundle,
		"--signing-config", at.signingConfig, "--trusted-root", at.trustedRoot, "--identity-token", token, "--yes")
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	said, err := command.CombinedOutput()
	t.Logf("cosign attest-blob:\n%s", said)
	if err != nil {
		t.Fatal(err)
	}
	second := again.enrol("--identity", bundle)
	if second.State != api.Enrolled || second.Operator != first.Operator || second.Builder == first.Builder {
		t.Errorf("one identity is %+v and %+v", first, second)
	}
}

// token is what the issuer gives to a job of a repository.
func (s *sigstoreDeployment) token(t *testing.T, repository string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.issuer+"/token?audience=sigstore&repository="+repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer a job's")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct{ Value string }
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	return token.Value
}
