package guixsigs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/evidence"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/needtest"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

const project = "demo"

// received is when the tests take the documents to come in: after the last of
// them was signed.
var received = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

func readKeys(t testing.TB, tree *Tree) *openpgp.Keyring {
	t.Helper()
	var certificates []*openpgp.Certificate
	for k, err := range tree.Keys() {
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, k.Certificates...)
	}
	return openpgp.NewKeyring(project, certificates...)
}

// enrolled returns the keys of a ledger that enrols all editions of each
// certificate, as an operator of its own.
func enrolled(t testing.TB, tree *Tree) *reading.Reader {
	t.Helper()
	roster, attachments, next := enrolment.NewRoster(), map[attestation.Digest][]byte{}, uint64(0)
	for k, err := range tree.Keys() {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range k.Certificates {
			sum := attestation.Digest(sha256.Sum256(c.Bytes()))
			attachments[sum] = c.Bytes()
			body, err := (&enrolment.Enrolment{
				Builder: c.Builder(), Operator: "of-" + string(c.Builder()), Tier: enrolment.Counted,
				OpenPGP: &enrolment.OpenPGP{Fingerprint: c.Fingerprint(), Project: project, Certificate: sum},
			}).Encode()
			if err == nil {
				_, _, err = roster.Apply(next, ledger.Enrolment, body)
			}
			if err != nil {
				t.Fatal(err)
			}
			next++
		}
	}
	return reading.New(roster, func(_ context.Context, sum attestation.Digest) ([]byte, error) { return attachments[sum], nil })
}

func readDocuments(t testing.TB, tree *Tree) []*Found {
	t.Helper()
	var documents []*Found
	for f, err := range tree.Documents() {
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, f)
	}
	return documents
}

// positions is what builders say of outputs.
type positions struct {
	outputs  map[string]*divergence.Output
	builders map[string]uint32
}

func newPositions() *positions {
	return &positions{map[string]*divergence.Output{}, map[string]uint32{}}
}

func (p *positions) add(builder string, signedAt time.Time, s openpgp.Sums) {
	number, known := p.builders[builder]
	if !known {
		number = uint32(len(p.builders))
		p.builders[builder] = number
	}
	say := func(output string, digests ...attestation.Digest) {
		if p.outputs[output] == nil {
			p.outputs[output] = &divergence.Output{}
		}
		for _, d := range digests {
			p.outputs[output].Add(divergence.Claim{
				Builder: number, Digest: d, Document: true, SignedAt: uint64(signedAt.Unix()), Ambiguous: len(digests) > 1,
			})
		}
	}
	for _, c := range s.Claims {
		say(c.Output, c.Digest)
	}
	for _, a := range s.Ambiguous {
		say(a.Output, a.Digests...)
	}
}

// everybody counts, each as an operator of its own.
type everybody struct{}

func (everybody) Counts(builder uint32, _ uint64) (uint32, bool) { return builder, true }

// verdicts returns a line "verdict name" for each output that has one and a line
// "ambiguous name" for each that a builder is ambiguous about, sorted.
func (p *positions) verdicts() []string {
	var lines []string
	for key, o := range p.outputs {
		name, ambiguous := strings.TrimPrefix(key, project+"/"), false
		for _, standing := range o.Weigh(everybody{}) {
			ambiguous = ambiguous || standing == divergence.AmbiguousName
		}
		if ambiguous {
			lines = append(lines, "ambiguous "+name)
		}
		if j := divergence.Judge(o, everybody{}); j.Verdict != divergence.Unbuilt {
			lines = append(lines, j.Verdict.String()+" "+name)
		}
	}
	slices.Sort(lines)
	return lines
}

func count(lines []string) map[string]int {
	n := map[string]int{}
	for _, line := range lines {
		word, _, _ := strings.Cut(line, " ")
		n[word]++
	}
	return n
}

// TestRealDataWithSignaturesIgnored counts as facts about the data do: by folder,
// whoever signed.
func TestRealDataWithSignaturesIgnored(t *testing.T) {
	documents := readDocuments(t, openTree(t, guixsigstest.Extract(t)))
	p := newPositions()
	versions, distinct := map[string]bool{}, map[string]bool{}
	folders := map[string]bool{}
	for _, f := range documents {
		versions[f.Version], folders[f.Folder] = true, true
		s := openpgp.ParseSums(project, f.Text)
		if len(s.Rejected) > 0 {
			t.Errorf("%s: %v", f.Path, s.Rejected)
		}
		p.add(f.Folder, time.Unix(1, 0), s)
		for _, c := range s.Claims {
			distinct[f.Folder+" "+c.Output+" "+c.Digest.Hex()] = true
		}
		for _, a := range s.Ambiguous {
			for _, d := range a.Digests {
				distinct[f.Folder+" "+a.Output+" "+d.Hex()] = true
			}
		}
	}
	several := 0
	for _, o := range p.outputs {
		builders := map[uint32]bool{}
		for _, c := range o.Claims {
			builders[c.Builder] = true
		}
		if len(builders) > 1 {
			several++
		}
	}
	got := map[string]int{
		"documents": len(documents), "builders": len(folders), "versions": len(versions), "distinct rows": len(distinct),
		"outputs": len(p.outputs), "by two or more": several,
	}
	maps.Copy(got, count(p.verdicts()))
	want := map[string]int{
		"documents": 2946, "builders": 51, "versions": 99, "distinct rows": 41295,
		"outputs": 2656, "by two or more": 2654, "diverged": 3, "ambiguous": 5, "single": 2, "reproduced": 2656 - 3 - 5 - 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRealDataAgainstGPG compares every state and verdict with what gpg and awk
// make of the same files. All versions take gpg half a minute; without
// REPRONET_GUIX_SIGS=all only the remarkable ones are compared.
func TestRealDataAgainstGPG(t *testing.T) {
	needtest.Program(t, "gpg", "gnupg")
	versions := []string{"22.0rc1", "22.0rc3", "23.0rc1", "23.0rc2", "26.0rc1", "29.4"}
	if os.Getenv("REPRONET_GUIX_SIGS") == "all" {
		versions = nil
	}
	dir := guixsigstest.Extract(t, versions...)
	script, err := filepath.Abs(filepath.Join("..", "..", "e2e", "guix-sigs-expected.sh"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), script, dir, strconv.FormatInt(received.Unix(), 10))
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	want := strings.Split(strings.TrimSpace(string(output)), "\n")
	slices.Sort(want)

	tree := openTree(t, dir)
	keys := enrolled(t, tree)
	states := map[string]int{}
	p := newPositions()
	for _, f := range readDocuments(t, tree) {
		states["documents"]++
		document := f.Document(project)
		body, err := document.Encode()
		if err != nil {
			t.Fatal(err)
		}
		e, err := keys.Document(t.Context(), ledger.OpenPGPSums, body, received)
		if err != nil {
			t.Errorf("%s: %v", f.Path, err)
			continue
		}
		states[e.State().String()]++
		for _, c := range e.Counted() {
			p.add(string(c.Builder), c.SignedAt, openpgp.ParseSums(project, document.Text))
		}
	}
	got := p.verdicts()
	for verdict, n := range count(got) {
		states[verdict] += n
	}
	for word, n := range states {
		got = append(got, fmt.Sprintf("count %s %d", word, n))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-gpg and awk, +ours):\n%s", diff)
	}
	t.Logf("%v", states)
	if states["documents"] == 0 || states["reproduced"] == 0 || states["unknown-key"] == 0 {
		t.Error("nothing was compared")
	}
}

// BenchmarkOpen measures how many real documents one core reads and judges.
func BenchmarkOpen(b *testing.B) {
	tree := openTree(b, guixsigstest.Extract(b))
	ring := readKeys(b, tree)
	var bodies [][]byte
	for _, f := range readDocuments(b, tree) {
		body, err := f.Document(project).Encode()
		if err != nil {
			b.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	n := 0
	for b.Loop() {
		v, err := openpgp.Open(bodies[n%len(bodies)], ring.Lookup, received)
		if err != nil || v.Signatures()[0].State == evidence.Bad {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "documents/s")
}

// BenchmarkKeys measures parsing and checking all certificates of a project.
func BenchmarkKeys(b *testing.B) {
	tree := openTree(b, guixsigstest.Extract(b, "builder-keys"))
	var files [][]byte
	for k, err := range tree.Keys() {
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, bytes.Clone(k.Data))
	}
	for b.Loop() {
		for _, data := range files {
			if _, err := openpgp.ParseCertificates(data); err != nil {
				b.Fatal(err)
			}
		}
	}
}
