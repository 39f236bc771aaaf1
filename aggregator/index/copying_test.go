package index_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// A play is what operators say of outputs that come out differently.
type play struct {
	*world
	signers map[string]*signing.Signer
	outputs int
}

func (p *play) enrols(tier enrolment.Tier, operators ...string) {
	for _, o := range operators {
		p.signers[o] = signingtest.Named(o)
		p.enrol(p.signers[o], o, tier)
	}
}

// on takes n more outputs. Lines alternates operators and the digests that they
// claim, in ledger order; a digest is another one for each output.
func (p *play) on(n int, lines ...string) {
	for range n {
		p.outputs++
		for i := 0; i < len(lines); i += 2 {
			p.attest(p.signers[lines[i]], p.rebuild("generic", fmt.Sprint("tool-", p.outputs), fmt.Sprint(lines[i+1], p.outputs)))
		}
	}
}

// TestCopying: who agrees on what comes out differently for everybody else seems to
// copy; who agrees on what reproduces, or stands against one only, does not.
func TestCopying(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(p *play)
		want []string // operator < source: same/common
	}{
		{"a copier among honest operators", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "mal")
			p.on(6, "ada", "1", "bob", "2", "mal", "1", "cyd", "3")
			p.on(30, "ada", "same", "bob", "same", "cyd", "same", "mal", "same")
		}, []string{"mal < ada: 6/6 [0 1 2 3 4 5]"}},
		{"the copier was enrolled first", func(p *play) {
			p.enrols(enrolment.Counted, "mal", "ada", "bob", "cyd")
			p.on(5, "ada", "1", "bob", "2", "mal", "1", "cyd", "3")
		}, []string{"mal < ada: 5/5 [0 1 2 3 4]"}},
		{"an open account copies", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd")
			p.enrols(enrolment.Open, "mal")
			p.on(5, "ada", "1", "bob", "2", "cyd", "3", "mal", "2")
		}, []string{"mal < bob: 5/5 [0 1 2 3 4]"}},
		{"two copy from one", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "mal")
			p.enrols(enrolment.Open, "moe")
			p.on(5, "ada", "1", "bob", "2", "cyd", "3", "mal", "1", "moe", "1")
		}, []string{"mal < ada: 5/5 [0 1 2 3 4]", "moe < ada: 5/5 [0 1 2 3 4]", "moe < mal: 5/5 [0 1 2 3 4]"}},
		{"one environment, which nobody else has", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "tom", "tim")
			p.on(6, "tom", "1", "ada", "2", "tim", "1", "bob", "3")
		}, []string{"tim < tom: 6/6 [0 1 2 3 4 5]"}},
		{"one environment, and one who is sick", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "tom", "tim")
			p.on(20, "tom", "1", "tim", "1", "ada", "2")
		}, nil},
		{"one environment, and those of another", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "tom", "tim")
			p.on(20, "tom", "1", "tim", "1", "ada", "2", "bob", "2")
		}, nil},
		{"open accounts do not make others scatter", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "tom", "tim")
			p.enrols(enrolment.Open, "eve", "mal")
			p.on(20, "tom", "1", "tim", "1", "ada", "2", "eve", "3", "mal", "4")
		}, nil},
		{"by chance", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "tom")
			p.on(4, "ada", "1", "bob", "2", "cyd", "3", "tom", "1")
		}, nil},
		{"now and then", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "tom")
			p.on(7, "ada", "1", "bob", "2", "cyd", "3", "tom", "1")
			p.on(2, "ada", "1", "bob", "2", "cyd", "3", "tom", "4")
		}, nil},
		{"a revoked copier", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "mal")
			p.on(6, "ada", "1", "bob", "2", "cyd", "3", "mal", "1")
			p.revoke(p.signers["mal"], 0)
		}, nil},
		{"many outputs", func(p *play) {
			p.enrols(enrolment.Counted, "ada", "bob", "cyd", "mal")
			p.on(25, "ada", "1", "bob", "2", "cyd", "3", "mal", "1")
		}, []string{"mal < ada: 25/25 [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &play{world: newWorld(t), signers: map[string]*signing.Signer{}}
			c.play(p)
			s := openStore(t)
			x := newIndex(t, index.Config{}, s, p.log)
			if err := x.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := x.RollUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			names := map[uint32]string{}
			for b := range x.Roster().All() {
				names[b.OperatorNumber] = b.Operator
			}
			all, err := s.Current().Copying(t.Context(), p.log.Size())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range all {
				got = append(got, fmt.Sprintf("%s < %s: %d/%d %d", names[f.Operator], names[f.Source], f.Same, f.Common, f.Outputs))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("copying (-want +got):\n%s", diff)
			}
		})
	}
}
