package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/internal/cli"
	"repronet.dev/verify/verifytest"
)

// TestWhatWasIsNotTooOld: how long ago the outputs of BASE were attested is not asked, or no
// change of what is old could regress.
func TestWhatWasIsNotTooOld(t *testing.T) {
	const before, after = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-hello-1", "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-hello-2"
	l := verifytest.NewLedger(t)
	l.SetAhead(-20 * 24 * time.Hour)
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	l.AttestOutput(alice, "nix", before+".drv", before, attestation.NAR, verifytest.Digest(1))
	l.AttestOutput(bob, "nix", before+".drv", before, attestation.NAR, verifytest.Digest(1))
	l.SetAhead(0)
	l.AttestOutput(alice, "nix", after+".drv", after, attestation.NAR, verifytest.Digest(1))
	l.AttestOutput(bob, "nix", after+".drv", after, attestation.NAR, verifytest.Digest(2))
	l.Publish()
	dir := t.TempDir()
	for name, text := range map[string]string{"base": before, "head": after, "policy": "sections: [{quorum: 2, maxAge: 7d}]"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (status int, said string) {
		var out bytes.Buffer
		status = Program().Run(t.Context(), &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}, args)
		return status, out.String()
	}
	config, mirror := filepath.Join(dir, "pins"), filepath.Join(dir, "mirror")
	if status, said := run("pin", "--yes", "--config", config, "--aggregator", l.Serve()); status != 0 {
		t.Fatal(said)
	}
	status, said := run("compare", filepath.Join(dir, "base"), filepath.Join(dir, "head"), "--config", config, "--mirror", mirror, "--policy", filepath.Join(dir, "policy"))
	if status != exitDiverged || !strings.Contains(said, "1 outputs compared: 1 regressed") {
		t.Errorf("status %d: %s", status, said)
	}
	// Of what is installed it is.
	if status, said = run("closure", filepath.Join(dir, "base"), "--config", config, "--mirror", mirror, "--policy", filepath.Join(dir, "policy")); status != exitInsufficient {
		t.Errorf("status %d: %s", status, said)
	}
}
