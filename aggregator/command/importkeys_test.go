package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/internal/cli"
)

// service is an aggregator that only enrols.
type service struct {
	builders []api.RosterBuilder
	enrolled []*enrolment.Enrolment
}

// caller returns the way to the service.
func (s *service) caller() admin.Caller {
	return admin.NewService(
		admin.Builders.By(func(context.Context, admin.None) ([]api.RosterBuilder, error) { return s.builders, nil }),
		admin.Attach.ByWith(func(_ context.Context, _ admin.None, streams admin.Streams) (admin.Attached, error) {
			data, err := io.ReadAll(streams.Input)
			return admin.Attached{SHA256: sha256.Sum256(data)}, err
		}),
		admin.Enrol.By(func(_ context.Context, e enrolment.Enrolment) (admin.Written, error) {
			s.enrolled = append(s.enrolled, &e)
			return admin.Written{Index: uint64(len(s.enrolled))}, nil
		}),
	)
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// runImport imports directories, and returns what was said.
func runImport(t *testing.T, s *service, of operatorsOf, dirs ...string) (result imported, said string, err error) {
	t.Helper()
	i := newImporter(s.caller(), "demo", enrolment.Counted)
	i.operatorsOf = of
	var stdout, stderr bytes.Buffer
	err = i.run(t.Context(), &cli.Env{Stdout: &stdout, Stderr: &stderr}, &output{json: true}, dirs)
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
			t.Fatal(err)
		}
	}
	return result, stderr.String(), err
}

func (s *service) operators() []string {
	var names []string
	for _, e := range s.enrolled {
		names = append(names, e.Operator)
	}
	return names
}

// TestOnePersonsFiles: files that look like one person's are pointed out, and are one
// operator where that is said.
func TestOnePersonsFiles(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	put(t, dir, "gitian-keys/ana.gpg", openpgptest.NewPerson(t, "ana", now).Bytes())
	put(t, dir, "gitian-keys/ana-v0-17.gpg", openpgptest.NewPerson(t, "ana", now.AddDate(0, 0, -1)).Bytes())
	put(t, dir, "gitian-keys/bob.gpg", openpgptest.NewPerson(t, "bob", now).Bytes())
	apart := &service{}
	result, said, err := runImport(t, apart, operatorsOf{}, dir)
	want := []sameUserID{{[]string{"gitian-keys/ana-v0-17.gpg", "gitian-keys/ana.gpg"}, []string{"ana-v0-17", "ana"}}}
	if diff := cmp.Diff(want, result.SameUserID); diff != "" || err != nil || !strings.Contains(said, "one person?") || strings.Contains(said, "ana@example.org") {
		t.Errorf("%v, %s\n%s", err, said, diff)
	}
	together := &service{}
	result, said, err = runImport(t, together, operatorsOf{"ana.gpg": "ana", "gitian-keys/ana-v0-17.gpg": "ana"}, dir)
	if diff := cmp.Diff([]string{"ana", "ana", "bob"}, together.operators()); diff != "" || err != nil || len(result.SameUserID) != 0 {
		t.Errorf("%v, %s\n%s", err, said, diff)
	}
	if _, _, err := runImport(t, &service{}, operatorsOf{"anna.gpg": "ana"}, dir); err == nil || !strings.Contains(err.Error(), `there is no file of keys "anna.gpg"`) {
		t.Errorf("a misspelt file: %v", err)
	}
}

// TestNamedOperatorOfAnotherFile: a file does not become an operator that was named for
// another only because it is called so.
func TestNamedOperatorOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a/bob.gpg", openpgptest.NewPerson(t, "bob", time.Now()).Bytes())
	put(t, dir, "b/robert.gpg", openpgptest.NewPerson(t, "robert", time.Now()).Bytes())
	s := &service{}
	if _, said, err := runImport(t, s, operatorsOf{"robert.gpg": "bob"}, dir); err != nil {
		t.Fatal(err, said)
	}
	if diff := cmp.Diff([]string{"bob-2", "bob"}, s.operators()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOperatorNeverChanges: who is enrolled already stays the same operator.
func TestOperatorNeverChanges(t *testing.T) {
	dir, ana := t.TempDir(), openpgptest.NewPerson(t, "ana", time.Now())
	put(t, dir, "ana.gpg", ana.Bytes())
	s := &service{builders: []api.RosterBuilder{{ID: ana.Builder(), Operator: "old-ana"}}}
	if _, said, err := runImport(t, s, operatorsOf{"ana.gpg": "ana"}, dir); err == nil || !strings.Contains(said, "enrolled for operator old-ana") || len(s.enrolled) > 0 {
		t.Errorf("%v: %s", err, said)
	}
	if _, said, err := runImport(t, s, operatorsOf{}, dir); err != nil || s.enrolled[0].Operator != "old-ana" {
		t.Errorf("%v: %s", err, said)
	}
}

// TestKeysOfWhichNothingCounts are named at import, with the reason.
func TestKeysOfWhichNothingCounts(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	sha1, good, early := openpgptest.NewPerson(t, "sha1", now), openpgptest.NewPerson(t, "good", now), openpgptest.NewPerson(t, "early", now.AddDate(3, 0, 0))
	text := strings.Repeat("ab", 32) + "  demo.tar.gz\n"
	for name, p := range map[string]struct {
		*openpgptest.Person
		signature []byte
	}{
		"sha1":  {sha1, sha1.DetachedSHA1(text, now.Add(-time.Hour))},
		"early": {early, early.Detached(text, now.AddDate(2, 6, 0))},
		"good":  {good, append(good.DetachedSHA1(text, now.AddDate(0, -2, 0)), good.Detached(text, now.Add(-time.Hour))...)},
	} {
		put(t, dir, "keys/"+name+".gpg", p.Bytes())
		put(t, dir, "1.0/"+name+"/SHA256SUMS", []byte(text))
		put(t, dir, "1.0/"+name+"/SHA256SUMS.sig", p.signature)
	}
	s := &service{}
	result, said, err := runImport(t, s, operatorsOf{}, dir)
	if err != nil || len(s.enrolled) != 3 {
		t.Fatal(err, said)
	}
	want := map[string]string{"keys/sha1.gpg": "SHA-1", "keys/early.gpg": "in the future"}
	for _, c := range result.CannotCount {
		if want[c.File] == "" || !strings.Contains(c.Reason, want[c.File]) || !strings.Contains(c.Reason, "none of its 1 signatures") {
			t.Errorf("%s: %s", c.File, c.Reason)
		}
		delete(want, c.File)
	}
	if len(want) > 0 {
		t.Errorf("not named: %v", want)
	}
}

// TestImportAccounts: every file is accounted for; one bad certificate does not keep the
// others of its file away.
func TestImportAccounts(t *testing.T) {
	dir := t.TempDir()
	ana, bob := openpgptest.NewPerson(t, "ana", time.Now()), openpgptest.NewPerson(t, "bob", time.Now())
	cut := bytes.Clone(ana.Bytes()[:60]) // the key alone: no self-signature
	cut = cut[:2+int(cut[1])]
	put(t, dir, "keys/both.gpg", append(cut, bob.Bytes()...))
	put(t, dir, "keys/none.gpg", []byte("hello"))
	put(t, dir, "README.md", []byte("hello"))
	s := &service{}
	result, said, err := runImport(t, s, operatorsOf{}, dir)
	if err == nil || len(s.enrolled) != 1 || s.enrolled[0].Builder != bob.Builder() {
		t.Errorf("%v: %s", err, said)
	}
	if diff := cmp.Diff(keyFiles{Total: 3, Keys: 1, Unusable: 1, Others: 1}, result.Files); diff != "" || len(result.Failures) != 2 || result.Skipped != 2 {
		t.Errorf("%+v\n%s", result, diff)
	}
	if _, _, err := runImport(t, &service{}, operatorsOf{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no keys were found among 0 files") {
		t.Errorf("nothing: %v", err)
	}
}

func TestOperatorFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "operators")
	read := func(mapping string, args ...string) (operatorsOf, error) {
		t.Helper()
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		f := declareOperatorsOf(flags)
		if mapping != "" {
			put(t, filepath.Dir(file), filepath.Base(file), []byte(mapping))
			args = append(args, "--operators", file)
		}
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		return f.read()
	}
	got, err := read("# who is who\nana = old.gpg = ana\r\n\nkeys/bob.gpg=bob\n", "--operator-of", "ana.gpg=ana")
	want := operatorsOf{"ana = old.gpg": "ana", "keys/bob.gpg": "bob", "ana.gpg": "ana"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"ana.gpg", "=ana", "ana.gpg=", "ana.gpg=Ana Bo"} {
		if _, err := read("", "--operator-of", bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
		if _, err := read("x=y\n" + bad + "\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q in a file: %v", bad, err)
		}
	}
	if _, err := read("", "--operator-of", "a.gpg=a", "--operator-of", "a.gpg=b"); err == nil {
		t.Error("a file is of two operators")
	}
}
