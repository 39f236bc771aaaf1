package aggregator

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/pkgset"
)

// TestSetsOfEveryKind: a set that is replaced, retired and published again is the same to
// the index and to a replay of the ledger, and to a catalogue that is read anew.
func TestSetsOfEveryKind(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.enrol("alice")
	w.attest(alice, 0, 5, 1)
	list := func(outputs int) io.Reader {
		var lines strings.Builder
		for n := range outputs {
			fmt.Fprintln(&lines, outputName(n))
		}
		return strings.NewReader(lines.String())
	}
	publish := func(revision string, outputs int, replace bool) error {
		_, err := admin.PublishSet.DoWith(t.Context(), w.Administration(),
			admin.Set{Name: "stable", Revision: revision, Ecosystem: "nix", Replace: replace}, admin.Streams{Input: list(outputs)})
		return err
	}
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	check("first", publish("1", 10, false), nil)
	check("the same again", publish("1", 10, false), nil)
	check("another content", publish("1", 9, false), admin.Exists)
	check("replaced", publish("1", 9, true), nil)
	check("less than half", publish("2", 4, false), admin.Shrinks)
	check("half", publish("2", 5, false), nil)
	w.settle() // what the index has, and what only the ledger has
	if got := len(w.output(0).Member); got != 1 {
		t.Errorf("output 0 is in %d sets", got)
	}
	retired, err := admin.RetireSet.Do(t.Context(), w.Administration(), admin.Retirement{Name: "stable", Revision: "retired"})
	if err != nil || retired.Before != 5 || retired.Outputs != 0 {
		t.Fatalf("retiring: %+v, %v", retired, err)
	}

	revisions := must(admin.ListSets.Do(t.Context(), w.Administration(), admin.None{}))
	var got []string
	for _, r := range revisions {
		got = append(got, fmt.Sprint(r.Revision, " ", r.Outputs, " ", r.Replaces != nil, " ", r.Current))
	}
	if diff := cmp.Diff([]string{"1 10 false false", "1 9 true false", "2 5 false false", "retired 0 false true"}, got); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	w.sets.mu.Lock()
	w.sets.loaded = false
	w.sets.mu.Unlock()
	if diff := cmp.Diff(revisions, must(admin.ListSets.Do(t.Context(), w.Administration(), admin.None{}))); diff != "" {
		t.Errorf("read anew (-first +then):\n%s", diff)
	}

	w.verdict(0, "single", 1)
	if got := len(w.output(0).Member); got != 0 {
		t.Errorf("output 0 of the retired set is in %d sets", got)
	}
	m := w.mirror()
	if err := w.compare(m); err != nil {
		t.Errorf("a replay of the retirement: %v", err)
	}
	check("published again", publish("2", 5, false), nil)
	w.settle()
	w.update(m)
	if err := w.compare(m); err != nil {
		t.Errorf("a replay of the return: %v", err)
	}
}

func TestLineCounter(t *testing.T) {
	for text, want := range map[string][2]int{
		"":                                   {0, 0},
		"a":                                  {1, 0},
		"a\n":                                {1, 0},
		"# a\n \t\n\n  # b\r\nc\n{\"d\": 1}": {6, 4},
		"   ":                                {1, 1},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
			l := &lineCounter{in: in}
			if got, err := io.ReadAll(l); err != nil || string(got) != text {
				t.Errorf("%q: read %q, %v", text, got, err)
			}
			l.end()
			if got := [2]int{l.all, l.passed}; got != want {
				t.Errorf("%q %s: %v, want %v", text, name, got, want)
			}
		}
	}
}

// TestPublishSet: what could not be read of a list is told beside what was
// published, and a list of which nothing was read publishes nothing.
func TestPublishSet(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	const a, dotted = "/nix/store/00000000000000000000000000000001-a", "/nix/store/00000000000000000000000000000002-.config-1.0"
	publish := func(revision, list string) (admin.Published, error) {
		return admin.PublishSet.DoWith(t.Context(), w.Administration(),
			admin.Set{Name: "some", Revision: revision, Ecosystem: "nix"}, admin.Streams{Input: strings.NewReader(list)})
	}
	published, err := publish("1", "\ufeff"+a+"\r\n"+a+".drv\n/nix/store/x\n"+dotted+"\n")
	if err != nil {
		t.Fatal(err)
	}
	want := admin.Published{
		SetRevision: published.SetRevision, Lines: 4, Taken: 2,
		Skipped: pkgset.Skipped{Count: 2, Line: 2, Reason: `"` + a + `.drv" is a derivation: list its outputs, or ` + a + `.drv^out`},
	}
	if diff := cmp.Diff(want, published); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	size := w.log.Size()
	for list, want := range map[string]string{
		"":                                "the list names no outputs: it is empty",
		"# nothing\n\n":                   "the list names no outputs: it is empty",
		"x\ny\n":                          "the list names no outputs: 2 lines could not be read; the first: line 1: output key",
		`{"attr":"x","error":""}`:         "the list names no outputs: 1 line could not be read",
		`{"attr":"x","error":"e"}` + "\n": "the list names no outputs: none of its 1 attributes could be evaluated",
	} {
		if _, err := publish("2", list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
	if got := w.log.Size(); got != size {
		t.Errorf("%d entries came of lists without outputs", got-size)
	}
}
