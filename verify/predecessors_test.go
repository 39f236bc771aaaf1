package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// storePath is that of a name, with 32 times a letter as its hash.
func storePath(letter, name string) string {
	return "/nix/store/" + strings.Repeat(letter, 32) + "-" + name
}

// TestPredecessors: what the ten newest revisions of the ledger's package sets had in an
// output's place.
func TestPredecessors(t *testing.T) {
	l := verifytest.NewLedger(t)
	member := func(letter, name, attribute string) pkgset.Member {
		m := pkgset.Member{Key: storePath(letter, name), Attribute: attribute}
		if attribute != "" {
			m.System, m.Output = "x86_64-linux", "out"
		}
		return m
	}
	l.PublishSet("long", "0", "nix", []pkgset.Member{member("z", "old-0", "old")})
	for n := range 9 {
		l.PublishSet("long", fmt.Sprint(n+1), "nix", []pkgset.Member{member("a", "new-0", "new")})
	}
	l.PublishSet("long", "10", "nix", []pkgset.Member{member("a", "new-1", "new"), member("a", "old-1", "old")})
	// By attribute: the one before, and the one before that; not what came after, nor what is of
	// another system or output.
	other := member("d", "hello-0", "hello")
	other.System = "aarch64-linux"
	man := member("d", "hello-0-man", "hello")
	man.Output = "man"
	l.PublishSet("base", "1", "nix", []pkgset.Member{member("a", "hello-1", "hello"), other, man})
	l.PublishSet("base", "2", "nix", []pkgset.Member{member("b", "hello-2", "hello")})
	l.PublishSet("base", "3", "nix", []pkgset.Member{member("b", "hello-2", "hello"), member("a", "world-1", "world")})
	l.PublishSet("base", "4", "nix", []pkgset.Member{member("c", "hello-3", "hello")})
	l.PublishSet("base", "5", "nix", []pkgset.Member{member("d", "hello-4", "hello")})
	// By name, where it is the only one.
	l.PublishSet("list", "1", "nix", []pkgset.Member{member("a", "zlib-1", ""), member("a", "gcc-12", ""), member("a", "gcc-13", "")})
	l.PublishSet("list", "2", "nix", []pkgset.Member{member("b", "zlib-2", ""), member("b", "gcc-14", "")})
	pins := l.Pins(l.Serve())
	l.Publish()
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	outputs := []verify.Output{}
	want := [][]string{}
	for _, test := range []struct {
		output string
		want   []string
	}{
		{storePath("c", "hello-3"), []string{storePath("b", "hello-2"), storePath("a", "hello-1")}},
		{storePath("a", "hello-1"), nil},
		{storePath("b", "zlib-2"), []string{storePath("a", "zlib-1")}},
		{storePath("b", "gcc-14"), nil},
		{storePath("a", "new-1"), []string{storePath("a", "new-0")}},
		{storePath("a", "old-1"), nil},
		{storePath("e", "never-1"), nil},
		{storePath("c", "hello-3"), []string{storePath("b", "hello-2"), storePath("a", "hello-1")}},
	} {
		outputs = append(outputs, verify.Output{Ecosystem: "nix", Key: test.output})
		want = append(want, test.want)
	}
	predecessors := func() [][]string {
		found, err := pins.Predecessors(t.Context(), m, outputs)
		if err != nil {
			t.Fatal(err)
		}
		got := make([][]string, len(found))
		for i, list := range found {
			for _, o := range list {
				got[i] = append(got[i], o.Key)
			}
		}
		return got
	}
	for range 2 { // looked for, and remembered
		if diff := cmp.Diff(want, predecessors()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	// Until other revisions are published.
	l.PublishSet("list", "3", "nix", []pkgset.Member{member("c", "zlib-3", "")})
	l.PublishSet("list", "4", "nix", []pkgset.Member{member("b", "zlib-2", "")})
	l.Publish()
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	want[2] = []string{storePath("c", "zlib-3"), storePath("a", "zlib-1")}
	if diff := cmp.Diff(want, predecessors()); diff != "" {
		t.Errorf("after other revisions (-want +got):\n%s", diff)
	}

	alice := l.Enrol("alice")
	l.AttestOutput(alice, "nix", storePath("a", "hello-1.drv"), storePath("a", "hello-1"), "nar", verifytest.Digest(1))
	l.Publish()
	pins = l.Pins(pins.Aggregators...)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	before, err := m.EvidenceBefore(t.Context(), pins, outputs, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if len(before[0]) != 2 || before[0][1].Output != storePath("a", "hello-1") || len(before[0][1].Claims) != 1 || len(before[2]) != 2 || len(before[1]) != 0 {
		t.Errorf("%+v", before)
	}
}

// TestSetRevision: a set at a revision, also one that was published again, and at its newest.
func TestSetRevision(t *testing.T) {
	l := verifytest.NewLedger(t)
	for _, r := range []struct{ revision, letter string }{{"1", "a"}, {"2", "b"}, {"1", "c"}, {"3", "d"}} {
		l.PublishSet("base", r.revision, "nix", []pkgset.Member{{Key: storePath(r.letter, "hello"), Attribute: "hello"}, {Key: storePath(r.letter, "src"), Fixed: true}})
	}
	l.Append("package-set", []byte(`{"name":"base","revision":"4","ecosystem":"nix","members":7}`))
	pins := l.Pins(l.Serve())
	l.Publish()
	m := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	for revision, letter := range map[string]string{"1": "c", "2": "b", "3": "d", "": "d"} {
		set, err := pins.SetRevision(t.Context(), m, "base", revision)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Counted) != 1 || set.Counted[0].Key != storePath(letter, "hello") || len(set.Fixed) != 1 {
			t.Errorf("%q: %+v", revision, set.Members)
		}
	}
	for revision, want := range map[string]string{"4": `no revision "4" in the ledger; the newest of its 4 are: ["1" "2" "1" "3"]`, "x": `no revision "x"`} {
		if _, err := pins.SetRevision(t.Context(), m, "base", revision); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", revision, err)
		}
	}
	if _, err := pins.SetRevision(t.Context(), m, "other", ""); err == nil || !strings.Contains(err.Error(), "not published") {
		t.Error(err)
	}
}
