//go:build long

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"repronet.dev/api"
	"repronet.dev/internal/exectest"
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
	sh := at.cosignShell(t, cosign, token)
	write(t, filepath.Join(sh.dir, "request.json"), payload)
	for _, line := range commandsFor(t) {
		r := sh.run(t, line)
		t.Logf("%s:\n%s", line, r.said())
		if r.status != 0 {
			t.Fatalf("%s: status %d", line, r.status)
		}
	}
	second := again.enrol("--identity", filepath.Join(sh.dir, "identity.json"))
	if second.State != api.Enrolled || second.Operator != first.Operator || second.Builder == first.Builder {
		t.Errorf("one identity is %+v and %+v", first, second)
	}
}

// cosignShell returns the shell of a person with an identity for whom this deployment is
// what the public one is to others: cosign is told so, and asks nothing in a browser.
func (s *sigstoreDeployment) cosignShell(t *testing.T, cosign, token string) *shell {
	t.Helper()
	bin := t.TempDir()
	exectest.Write(t, filepath.Join(bin, "cosign"), "#!/bin/sh\nexec '"+cosign+"' \"$@\" --signing-config '"+s.signingConfig+
		"' --trusted-root '"+s.trustedRoot+"' --identity-token '"+token+"' --yes\n")
	return newShell(t, "PATH="+bin+":"+os.Getenv("PATH"))
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
