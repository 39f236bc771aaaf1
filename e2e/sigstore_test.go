//go:build long

package e2e

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// sigstoreEnv names a directory with Fulcio, Rekor's second version for files
// ("rekor-server") and the timestamp authority; cosignEnv names cosign.
const (
	sigstoreEnv = "REPRONET_SIGSTORE"
	cosignEnv   = "REPRONET_COSIGN"
)

const (
	jobRepository = "https://github.com/org/repo"
	jobWorkflow   = "/.github/workflows/rebuild.yml@refs/heads/main"
)

// A ciJob is a run of a workflow that reports to an aggregator.
type ciJob struct {
	volunteer
	sigstore *sigstoreDeployment
}

func newJob(t *testing.T, s *sigstoreDeployment, aggregator string) *ciJob {
	t.Helper()
	j := &ciJob{volunteer{t, filepath.Join(t.TempDir(), "job")}, s}
	j.run(0, "init", "--aggregator", aggregator, "--key", "sigstore:"+s.signingConfig, "--report", "all", "--consent-cc0")
	return j
}

// submit delivers, as a run of a repository's workflow.
func (j *ciJob) submit(status int, repository string) string {
	j.t.Helper()
	j.t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", j.sigstore.issuer+"/token?repository="+repository)
	j.t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "a job's")
	_, messages := j.run(status, "run", "--once")
	return messages
}

// enrolJob has an aggregator accept what a workflow of a repository signs.
func (s *server) enrolJob(t *testing.T, at *sigstoreDeployment, operator string) signing.BuilderID {
	t.Helper()
	out, err := s.Command(t.Context(), "builders enrol", "--operator", operator, "--trusted-root", at.trustedRoot,
		"--sigstore-issuer", at.issuer, "--sigstore-repository", jobRepository,
		"--sigstore-subject", `^https://github\.com/org/repo/\.github/workflows/[a-z]+\.yml@refs/heads/main$`)
	if err != nil {
		t.Fatal(err)
	}
	return signing.BuilderID(strings.TrimSpace(strings.SplitN(out, "\n", 2)[0]))
}

// reportHello has alice, an enrolled builder with a key, report a build.
func reportHello(t *testing.T, s *server) *volunteer {
	t.Helper()
	r, err := network.NewReporter(t.Context(), s.Aggregator, filepath.Join(t.TempDir(), "alice"), "alice", s.URL, "--report", "all")
	if err != nil {
		t.Fatal(err)
	}
	alice := &volunteer{t, r.Dir}
	alice.attest("hello", "hello")
	alice.run(0, "run", "--once")
	return alice
}

// bundles returns the statements in a ledger of some entries.
func bundles(t *testing.T, base string, size uint64) [][]byte {
	t.Helper()
	entries, _ := readLedger(t, base, size)
	var found [][]byte
	for _, e := range entries {
		if e.Kind == ledger.Attestation {
			found = append(found, e.Body)
		}
	}
	return found
}

// TestSigstore goes the whole way with a real Fulcio, timestamp authority and Rekor
// on loopback.
func TestSigstore(t *testing.T) {
	at := startSigstore(t)
	s := startAggregator(t)
	reportHello(t, s)

	job := newJob(t, at, s.URL)
	job.attest("hello", "hello")
	if said := job.submit(1, "org/repo"); !strings.Contains(said, "not enrolled") {
		t.Errorf("an identity that is not enrolled: %s", said)
	}
	s.enrolJob(t, at, "org")
	job.submit(0, "org/repo")
	if status := job.status(); status.Acknowledged.Statements != 1 {
		t.Errorf("the job delivered %+v", status)
	}
	if n := indexed(t, s.URL).Observations; n != 2 {
		t.Errorf("%d observations, want 2", n)
	}

	for _, lookalike := range []string{"org/repo.evil", "evil/repo", "evil-org/repo", "org/repo/../../evil/repo"} {
		mallory := newJob(t, at, s.URL)
		mallory.attest("hello", "evil")
		if said := mallory.submit(1, lookalike); !strings.Contains(said, "not enrolled") {
			t.Errorf("a run of %s: %s", lookalike, said)
		}
	}
	if got := getOutput(t, s.URL, "project/hello^out"); got.Verdict != "reproduced" || got.Operators != 2 {
		t.Errorf("the output is %s by %d operators, want reproduced by 2", got.Verdict, got.Operators)
	}
	c := newChecker(t)
	c.run(t, 0, "pin", "--aggregator", s.URL, "--yes")
	said := c.run(t, 0, "output", "--mirror", c.mirror, "--ecosystem", "generic", "project/hello^out")
	t.Logf("repronet-verify output:\n%s", said)
	if !strings.Contains(said, "org") || !strings.Contains(said, "alice") {
		t.Errorf("repronet-verify: %s", said)
	}
	c.run(t, 0, "replay", "--mirror", c.mirror, "--aggregator", s.URL)
}

// TestCosign has cosign check what a builder with a key and what a job signed.
func TestCosign(t *testing.T) {
	cosign := os.Getenv(cosignEnv)
	if cosign == "" {
		t.Fatalf("%s names no cosign: run make test-cosign", cosignEnv)
	}
	at := startSigstore(t)
	s := startAggregator(t)
	alice := reportHello(t, s)
	s.enrolJob(t, at, "org")
	job := newJob(t, at, s.URL)
	job.attest("hello", "hello")
	job.submit(0, "org/repo")

	signed := bundles(t, s.URL, 4)
	for _, c := range []struct {
		name   string
		bundle []byte
		args   []string
		want   bool
	}{
		{"a builder's key", signed[0], []string{"--key", filepath.Join(alice.dir, "builder.pub"), "--insecure-ignore-tlog"}, true},
		{"a job's identity", signed[1], []string{
			"--trusted-root", at.trustedRoot, "--use-signed-timestamps", "--certificate-oidc-issuer", at.issuer,
			"--certificate-identity", jobRepository + jobWorkflow,
		}, true},
		{"another identity", signed[1], []string{
			"--trusted-root", at.trustedRoot, "--use-signed-timestamps", "--certificate-oidc-issuer", at.issuer,
			"--certificate-identity", "https://github.com/evil/repo" + jobWorkflow,
		}, false},
	} {
		file := filepath.Join(t.TempDir(), "bundle.json")
		if err := os.WriteFile(file, c.bundle, 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{
			"verify-blob-attestation", "--bundle", file, "--type", "https://repronet.dev/rebuild/v1",
			"--digest", subjectDigest(t, c.bundle), "--digestAlg", "sha256",
		}, c.args...)
		command := exec.CommandContext(t.Context(), cosign, args...)
		command.Env = append(os.Environ(), "HOME="+t.TempDir())
		said, err := command.CombinedOutput()
		t.Logf("%s: cosign %s\n%s", c.name, strings.Join(args, " "), said)
		if (err == nil) != c.want || c.want != bytes.Contains(said, []byte("Verified OK")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func subjectDigest(t *testing.T, bundle []byte) string {
	t.Helper()
	parsed, err := signing.ParseBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Subject []struct {
			Digest struct {
				SHA256 string `json:"sha256"`
			} `json:"digest"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(parsed.Payload, &statement); err != nil {
		t.Fatal(err)
	}
	digest := statement.Subject[0].Digest.SHA256
	if _, err := hex.DecodeString(digest); err != nil {
		t.Fatal(err)
	}
	return digest
}
