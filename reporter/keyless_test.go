package reporter_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
	"repronet.dev/signing/sigstore/sigstoretest"
)

// TestKeyless delivers what a job signs by its identity, of which nothing stays on
// the machine.
func TestKeyless(t *testing.T) {
	deployment := sigstoretest.New(t)
	root, err := sigstore.ParseTrustedRoot(deployment.TrustedRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	who := signing.Identity{Issuer: "https://token.example.org", Subject: "https://github.com/org/repo/wf@main", Repository: "https://github.com/org/repo"}
	t.Setenv("SIGSTORE_ID_TOKEN", sigstoretest.Token(who))
	a := submittest.New(t)
	home, p := prepare(t, a, func(s *reporter.Setup) { s.Key = "sigstore:" + deployment.Serve(t) })
	if p.PublicKey != nil || p.Config.Builder != "" {
		t.Errorf("prepared with a key: %+v", p)
	}
	for _, name := range []string{"key.pem", "builder.pub"} {
		if _, err := os.Stat(filepath.Join(string(home), name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	put(t, home, 1, 2)
	r := open(t, home)
	pass(t, r, reporter.Report{Held: 1, Left: 1}, "not enrolled")
	a.EnrolJob(who, root)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	put(t, home, 3)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if diff := cmp.Diff([]string{output(1), output(2), output(3)}, inLog(a)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	for _, v := range a.Statements() {
		if v.Statement().Chain.Stream != "" {
			t.Errorf("in a stream: %+v", v.Statement().Chain)
		}
	}
	if _, err := home.NewDesk(t.Context()); err == nil || !strings.Contains(err.Error(), "has no key") {
		t.Errorf("asking to be enrolled: %v", err)
	}
	// A directory with a key keeps it.
	keyed, _ := prepare(t, a, nil)
	if _, err := keyed.Prepare(t.Context(), reporter.Setup{Key: "sigstore:" + deployment.Serve(t), Consent: consent}); !errors.Is(err, reporter.ErrSetup) {
		t.Errorf("a key was replaced: %v", err)
	}
}
