package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/divergence"
	"repronet.dev/reading"
	"repronet.dev/verify"
	"repronet.dev/verify/verifytest"
)

// TestIndexOfOtherRules: what another version of the program noted of the entries, by
// other rules, is not gone on from, neither what the entries are about nor which texts are
// there. Release 0.1.0 noted no rules, and passed over kinds of entries that it did not know.
func TestIndexOfOtherRules(t *testing.T) {
	for name, mark := range map[string]string{
		"release 0.1.0": "version 3 entries %d\n",
		"older rules":   fmt.Sprintf("version 4 rules %d entries %%[1]d texts %%[1]d\n", reading.Newest-1),
		"newer rules":   fmt.Sprintf("version 4 rules %d entries %%[1]d texts %%[1]d\n", reading.Newest+1),
		"none":          "",
	} {
		t.Run(name, func(t *testing.T) {
			l := verifytest.NewLedger(t)
			alice, pin := l.Certify("alice")
			const output = verifytest.Project + "/file"
			s := l.SumsApart(alice, strings.Repeat("a", 64)+"  file\n", output)
			size := l.Publish().Size
			pins := l.Pins(l.Serve())
			pins.Pin(pin)
			dir := t.TempDir()
			m := openMirror(t, dir, l)
			if err := pins.Update(t.Context(), m, quiet); err != nil || m.Remade() {
				t.Fatalf("%v, made anew: %v", err, m.Remade())
			}
			closeMirror(t, m)
			// As it was left by a program that did not know the document's kind.
			files, err := filepath.Glob(filepath.Join(dir, "index", "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			text := filepath.Join(dir, "log", "attachments", "sha256", s.Attachment.Hex())
			if err := os.Remove(text); err != nil {
				t.Fatal(err)
			}
			if mark != "" {
				if err := os.WriteFile(filepath.Join(dir, "index", "indexed"), fmt.Appendf(nil, mark, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m = openMirror(t, dir, l)
			defer closeMirror(t, m)
			if m.Remade() != (mark != "") {
				t.Errorf("made anew: %v", m.Remade())
			}
			if err := pins.Update(t.Context(), m, quiet); err != nil {
				t.Fatal(err)
			}
			e, err := m.Evidence(t.Context(), pins, "release", output)
			if err != nil || e.Judgement.Verdict != divergence.Single {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

// TestTextThatComesLater: a document whose text could not be had when its entry was
// mirrored is undecided, never passed over; each update asks for the text again, also of a
// program that was started since, and then the document counts. It keeps none after it
// from being fetched.
func TestTextThatComesLater(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, pin := l.Certify("alice")
	const early, late = verifytest.Project + "/early", verifytest.Project + "/late"
	lost := l.SumsApart(alice, strings.Repeat("a", 64)+"  early\n", early)
	l.SumsApart(alice, strings.Repeat("b", 64)+"  late\n", late)
	l.Publish()
	text := filepath.Join(l.Dir, "attachments", "sha256", lost.Attachment.Hex())
	if err := os.Rename(text, text+".away"); err != nil {
		t.Fatal(err)
	}
	pins := l.Pins(l.Serve())
	pins.Pin(pin)
	dir := t.TempDir()
	judge := func(m *verify.Mirror, output string) (divergence.Verdict, error) {
		e, err := m.Evidence(t.Context(), pins, "release", output)
		if err != nil {
			return 0, err
		}
		return e.Judgement.Verdict, nil
	}
	for range 2 { // the second opens what the first left
		m := openMirror(t, dir, l)
		if err := pins.Update(t.Context(), m, quiet); err == nil || !strings.Contains(err.Error(), "the text of the document at ledger index 1") {
			t.Errorf("update: %v", err)
		}
		if v, err := judge(m, early); err == nil {
			t.Errorf("the document whose text is not there: %v", v)
		}
		if v, err := judge(m, late); err != nil || v != divergence.Single {
			t.Errorf("the document after it: %v, %v", v, err)
		}
		closeMirror(t, m)
	}
	if err := os.Rename(text+".away", text); err != nil {
		t.Fatal(err)
	}
	m := openMirror(t, dir, l)
	defer closeMirror(t, m)
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{early, late} {
		if v, err := judge(m, output); err != nil || v != divergence.Single {
			t.Errorf("%s: %v, %v", output, v, err)
		}
	}
}

// TestErasedText: a text that the ledger erased was never there, for a mirror that had it
// and for one that never did.
func TestErasedText(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice, pin := l.Certify("alice")
	const output = verifytest.Project + "/file"
	erased := l.SumsApart(alice, strings.Repeat("a", 64)+"  file\n", output)
	l.Publish()
	pins := l.Pins(l.Serve())
	pins.Pin(pin)
	before := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, before)
	if err := pins.Update(t.Context(), before, quiet); err != nil {
		t.Fatal(err)
	}
	l.Erase(erased.Attachment)
	l.Publish()
	after := openMirror(t, t.TempDir(), l)
	defer closeMirror(t, after)
	for name, m := range map[string]*verify.Mirror{"mirror that had it": before, "new mirror": after} {
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e, err := m.Evidence(t.Context(), pins, "release", output)
		if err != nil || e.Judgement.Verdict != divergence.Unbuilt {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
