package compare_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/compare"
	"repronet.dev/verify/policy"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// report judges outputs: "KEY operator=digest operator=digest".
func report(p *policy.Policy, past bool, outputs ...string) *closure.Report {
	r := &closure.Report{}
	for _, text := range outputs {
		fields := strings.Fields(text)
		key := path(fields[0])
		e := &verify.Evidence{Ecosystem: "nix", Output: key, Judgement: divergence.Judgement{Operators: len(fields) - 1}}
		for i, claim := range fields[1:] {
			operator, digest, _ := strings.Cut(claim, "=")
			digest, old := strings.CutSuffix(digest, "@old")
			at := now
			if old {
				at = now.AddDate(-1, 0, 0)
			}
			e.Claims = append(e.Claims, verify.Claim{
				Index: uint64(i + 1), Operator: operator, Digest: attestation.Digest{digest[0]}, Standing: verify.Counts, ReceivedAt: at,
			})
		}
		c := policy.Case{Evidence: e, Now: now, Past: past}
		r.Results = append(r.Results, closure.Result{Item: closure.Item{Output: verify.Output{Ecosystem: "nix", Key: key}}, Decision: p.Judge(c), Case: c})
	}
	return r
}

func TestPromote(t *testing.T) {
	const plain = "{quorum: 2}"
	for _, test := range []struct {
		name, section string
		from, to      []string
		want          []string // class, name, blocks or warns, waits
	}{
		{"nothing changed", plain, []string{"a:x-1 a=1 b=2", "a:y-1 a=1"}, []string{"a:x-1 a=1 b=2", "a:y-1 a=1"}, nil},
		{"better", plain, []string{"a:x-1 a=1 b=2", "a:y-1 a=1", "a:z-1 a=1 b=1"}, []string{"b:x-2 a=1 b=1", "b:y-2 a=1 b=1", "b:z-2 a=1 b=1"}, nil},
		{"regressed", plain, []string{"a:x-1 a=1 b=1", "a:y-1 a=1 b=2"}, []string{"b:x-2 a=1 b=2", "b:y-2 a=1 b=2"}, []string{"regressed x blocks"}},
		{"not built yet", plain, []string{"a:x-1 a=1 b=1", "a:y-1 a=1"}, []string{"b:x-2 a=1", "b:y-2"}, []string{"not-built x blocks, waits"}},
		{"new", plain, []string{"a:x-1 a=1 b=1"}, []string{"a:x-1 a=1 b=1", "b:n-1 a=1 b=2", "b:m-1", "b:o-1 a=1 b=1"}, []string{"new m blocks, waits", "new n blocks"}},
		{"removed", plain, []string{"a:x-1 a=1 b=1", "a:y-1 a=1 b=1"}, []string{"a:x-1 a=1 b=1"}, nil},
		{"nobody had compared, and the policy accepted that", "{quorum: 2, single: accept}", []string{"a:x-1 a=1"}, []string{"b:x-2 a=1 b=2"}, []string{"uncompared x blocks"}},
		{"nobody had compared", plain, []string{"a:x-1 a=1"}, []string{"b:x-2 a=1 b=2"}, nil},
		{"warned about", "{quorum: 2, single: warn}", []string{"a:x-1 a=1 b=1", "a:y-1 a=1"}, []string{"b:x-2 a=1", "b:y-2 a=1"}, []string{"not-built x warns, waits"}},
		{"strangers dissent", "{quorum: 2, trusted: [a, b], diverged: warn}", []string{"a:x-1 a=1 b=1"}, []string{"b:x-2 a=1 b=1 c=2"}, []string{"regressed x warns"}},
		{"strangers dissent, which is accepted", "{quorum: 2, trusted: [a, b], diverged: accept}", []string{"a:x-1 a=1 b=1"}, []string{"b:x-2 a=1 b=1 c=2"}, nil},
		{
			"strangers dissent from what was reproduced", "{quorum: 2, trusted: [a, b], diverged: accept, regressed: refuse}",
			[]string{"a:x-1 a=1 b=1", "a:y-1 a=1"},
			[]string{"b:x-2 a=1 c=2 b=1", "b:y-2 a=1 c=2 b=1"},
			[]string{"regressed x blocks"},
		},
		{"what was is not too old", "{quorum: 2, maxAge: 90d}", []string{"a:x-1 a=1@old b=1@old"}, []string{"b:x-2 a=1 b=2"}, []string{"regressed x blocks"}},
		{"what comes is", "{quorum: 2, maxAge: 90d}", []string{"a:x-1 a=1@old b=1@old"}, []string{"b:x-2 a=1@old b=1@old"}, []string{"not-built x blocks, waits"}},
		{"what stays is, which keeping it back would not help", "{quorum: 2, maxAge: 90d}", []string{"a:x-1 a=1@old b=1@old"}, []string{"a:x-1 a=1@old b=1@old"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := policy.Parse([]byte("sections: [" + test.section + "]"))
			if err != nil {
				t.Fatal(err)
			}
			promotion := compare.Promote(p, report(p, true, test.from...), report(p, false, test.to...))
			var got []string
			blocked, waiting := 0, 0
			for _, e := range promotion.Excuses {
				line := fmt.Sprintf("%s %s warns", string(e.Class), e.Name)
				if e.Blocks() {
					line = fmt.Sprintf("%s %s blocks", string(e.Class), e.Name)
					blocked++
				}
				if e.Waits() {
					line += ", waits"
				}
				if e.Blocks() && e.Waits() {
					waiting++
				}
				if len(e.Decision.Reasons) == 0 {
					t.Errorf("%s without a reason", e.Name)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if b, w := promotion.Blocked(); b != blocked || w != waiting {
				t.Errorf("%d blocked, %d waiting; want %d, %d", b, w, blocked, waiting)
			}
		})
	}
}

// TestPromotePlanted: of a thousand changes that make nothing worse, and a few that do, the
// few are told.
func TestPromotePlanted(t *testing.T) {
	p, err := policy.Parse([]byte("sections: [{quorum: 2}]"))
	if err != nil {
		t.Fatal(err)
	}
	harmless := [][2]string{
		{"a=1 b=1", "a=1 b=1"}, {"a=1 b=2", "a=1 b=2"}, {"a=1 b=2", "a=1 b=1"}, {"a=1", "a=1 b=2"}, {"a=1", "a=1"}, {"", "a=1 b=2"}, {"a=1 b=2", ""},
	}
	var from, to, want []string
	for n := range 1000 {
		claims := harmless[n%len(harmless)]
		if n%400 == 17 {
			claims = [2]string{"a=1 b=1", "a=1 b=2"}
			want = append(want, fmt.Sprintf("p%d", n))
		}
		from = append(from, fmt.Sprintf("a:p%d-1 %s", n, claims[0]))
		to = append(to, fmt.Sprintf("b:p%d-2 %s", n, claims[1]))
	}
	var got []string
	for _, e := range compare.Promote(p, report(p, true, from...), report(p, false, to...)).Excuses {
		got = append(got, e.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 3 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
