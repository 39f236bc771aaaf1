package divergence_test

import (
	"crypto/ed25519"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/divergence"
	"repronet.dev/divergence/vectors"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// TestVectors runs the conformance vectors, with the real roster.
func TestVectors(t *testing.T) {
	file, err := os.Open("testdata/verdicts.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := vectors.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			r := &runner{t: t, roster: enrolment.NewRoster(), keys: map[string]*signing.PublicKey{}}
			for _, step := range v.Steps {
				if step.Entry != nil {
					r.apply(step.Entry)
					continue
				}
				got := divergence.Judge(&r.output, r.roster)
				if diff := cmp.Diff(*step.Expect, expectation(got)); diff != "" {
					t.Errorf("line %d (-want +got):\n%s", step.Line, diff)
				}
				seen[step.Expect.Verdict+" "+step.Expect.Shape+" "+step.Expect.Inputs] = true
			}
		})
	}
	for _, class := range []string{
		"unbuilt  ", "single  ", "reproduced  ",
		"diverged self unknown", "diverged self same", "diverged self differ",
		"diverged scatter unknown", "diverged scatter same", "diverged scatter differ",
		"diverged outlier unknown", "diverged outlier same", "diverged outlier differ",
		"diverged split unknown", "diverged split same", "diverged split differ",
	} {
		if !seen[class] {
			t.Errorf("no case expects %q", class)
		}
	}
}

func expectation(j divergence.Judgement) vectors.Expectation {
	e := vectors.Expectation{Verdict: j.Verdict.String(), Operators: j.Operators, Digests: j.Digests}
	if j.Verdict == divergence.Diverged {
		e.Shape = j.Shape.String()
		e.Inputs = map[divergence.Inputs]string{
			divergence.InputsUnknown: "unknown", divergence.InputsSame: "same", divergence.InputsDiffer: "differ",
		}[j.Inputs]
	}
	return e
}

// runner folds the entries of a vector.
type runner struct {
	t      *testing.T
	roster *enrolment.Roster
	keys   map[string]*signing.PublicKey // by the builder's name
	output divergence.Output
}

func (r *runner) apply(e *vectors.Entry) {
	r.t.Helper()
	switch e.Op {
	case vectors.Enrol:
		key := r.key(e.Builder)
		body, err := (&enrolment.Enrolment{
			Builder: key.Builder(), PublicKey: key.DER(), Operator: e.Operator, Tier: enrolment.Tier(e.Tier),
		}).Encode()
		r.fold(e.Index, ledger.Enrolment, body, err)
	case vectors.Revoke:
		body, err := (&enrolment.Revocation{Builder: r.key(e.Builder).Builder(), From: e.From}).Encode()
		r.fold(e.Index, ledger.Revocation, body, err)
	case vectors.Claim:
		r.output.Add(divergence.Claim{
			Builder: r.number(e.Builder), Digest: e.Digest, Index: e.Index, Inputs: divergence.NewInputsKey(e.Inputs),
		})
	case vectors.Document:
		for _, digest := range e.Digests {
			r.output.Add(divergence.Claim{
				Builder: r.number(e.Builder), Digest: digest, Index: e.Index, Document: true, SignedAt: e.SignedAt, Ambiguous: len(e.Digests) > 1,
			})
		}
	case vectors.Withdraw:
		r.output.Withdraw(r.number(e.Builder), e.Digest)
	}
}

func (r *runner) fold(index uint64, kind ledger.Kind, body []byte, err error) {
	r.t.Helper()
	if err == nil {
		_, _, err = r.roster.Apply(index, kind, body)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *runner) number(name string) uint32 {
	r.t.Helper()
	b, ok := r.roster.Builder(r.key(name).Builder())
	if !ok {
		r.t.Fatalf("%s is not enrolled", name)
	}
	return b.Number
}

func (r *runner) key(name string) *signing.PublicKey {
	r.t.Helper()
	if key, ok := r.keys[name]; ok {
		return key
	}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := signing.NewPublicKey(public)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys[name] = key
	return key
}
