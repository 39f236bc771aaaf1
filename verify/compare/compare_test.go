package compare_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/compare"
	"repronet.dev/verify/policy"
)

func TestStateOf(t *testing.T) {
	for _, test := range []struct {
		finding verify.Finding
		action  policy.Action
		want    compare.State
	}{
		{verify.Accepted, policy.Accept, compare.Reproduced},
		{verify.Diverged, policy.Refuse, compare.Diverged},
		{verify.Diverged, policy.Warn, compare.Diverged},
		{verify.Diverged, policy.Accept, compare.Reproduced},
		{verify.Mismatch, policy.Refuse, compare.Diverged},
		{verify.Insufficient, policy.Refuse, compare.Undecided},
		{verify.Insufficient, policy.Accept, compare.Undecided},
		{"", "", compare.Undecided},
	} {
		if got := compare.StateOf(policy.Decision{Finding: test.finding, Action: test.action}); got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.finding, test.action, got, test.want)
		}
	}
}

// planted returns two lists of so many packages, most of which say nothing of a change:
// diverged before and after, built by one, gone, new, or the same; and the names of those few
// that regressed.
func planted(random *rand.Rand, packages int) (base, head []compare.Subject, want []string) {
	states := []compare.State{compare.Reproduced, compare.Diverged, compare.Undecided}
	for n := range packages {
		name := fmt.Sprintf("package%d", n)
		of := func(letter string, state compare.State) compare.Subject {
			return compare.Subject{
				Output: verify.Output{Ecosystem: "nix", Key: path(letter + ":" + name + "-1." + fmt.Sprint(random.IntN(9)))},
				Place:  closure.Place{Attribute: name, System: "x86_64-linux", Name: "out"}, State: state,
			}
		}
		before, after := states[random.IntN(3)], states[random.IntN(3)]
		if before == compare.Reproduced && after == compare.Diverged {
			after = compare.Reproduced
		}
		was, is := of("a", before), of("b", after)
		switch {
		case n%(packages/3) == 7:
			was.State, is.State = compare.Reproduced, compare.Diverged
			base, head, want = append(base, was), append(head, is), append(want, name)
		case n%10 == 1:
			base = append(base, was)
		case n%10 == 2:
			head = append(head, is)
		case n%10 == 3:
			base, head = append(base, was), append(head, was)
		default:
			base, head = append(base, was), append(head, is)
		}
	}
	random.Shuffle(len(head), func(i, j int) { head[i], head[j] = head[j], head[i] })
	slices.Sort(want)
	return base, head, want
}

// TestPlanted: regressions among noise are named, and nothing else is.
func TestPlanted(t *testing.T) {
	for seed := range uint64(20) {
		base, head, want := planted(rand.New(rand.NewPCG(seed, 1)), 1000)
		for _, attributes := range []bool{true, false} {
			if !attributes { // names alone
				for _, list := range [][]compare.Subject{base, head} {
					for i := range list {
						list[i].Place = closure.Place{}
					}
				}
			}
			c := compare.Compare(base, head)
			var got []string
			for _, change := range c.Changes {
				if change.Class == compare.Regressed {
					got = append(got, change.Name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
				t.Fatalf("seed %d, attributes %t: (-want +got):\n%s", seed, attributes, diff)
			}
			checkCounts(t, c, base, head)
		}
	}
}

// TestManyOfOneName: more outputs of one name than can be weighed against each other are
// matched all the same.
func TestManyOfOneName(t *testing.T) {
	const many = 20_000
	side := func(letter string, state compare.State) (list []compare.Subject) {
		for n := range many {
			list = append(list, compare.Subject{Output: verify.Output{Ecosystem: "nix", Key: path(fmt.Sprintf("%s:unit-1.%d", letter, n))}, State: state})
		}
		return list
	}
	base, head := side("a", compare.Reproduced), side("b", compare.Diverged)
	c := compare.Compare(base, head)
	if c.Counts.Compared.Regressed != many {
		t.Errorf("%+v", c.Counts)
	}
	for _, change := range c.Changes {
		if base[change.Base].Key[44:] != head[change.Head].Key[44:] {
			t.Fatalf("%s is compared with %s", head[change.Head].Key, base[change.Base].Key)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	base, head, _ := planted(rand.New(rand.NewPCG(1, 1)), 100_000)
	for b.Loop() {
		if c := compare.Compare(base, head); c.Counts.Compared.Regressed == 0 {
			b.Fatal("nothing regressed")
		}
	}
}
