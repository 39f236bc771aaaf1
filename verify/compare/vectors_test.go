package compare_test

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/compare"
)

// A vector is a case of testdata/compare.txt.
type vector struct {
	name       string
	base, head []compare.Subject
	want       []string
}

func readVectors(t *testing.T) []*vector {
	t.Helper()
	f, err := os.Open("testdata/compare.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []*vector
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if fields[0] == "case" {
			all = append(all, &vector{name: strings.Join(fields[1:], " ")})
			continue
		}
		v := all[len(all)-1]
		switch {
		case fields[0] == "base" && (len(fields) == 4 || len(fields) == 7):
			v.base = append(v.base, subject(t, fields[1:]))
		case fields[0] == "head" && (len(fields) == 4 || len(fields) == 7):
			v.head = append(v.head, subject(t, fields[1:]))
		case fields[0] == "expect" && len(fields) >= 5:
			v.want = append(v.want, strings.Join(fields[1:], " "))
		default:
			t.Fatalf("line %d: %s", n, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func subject(t *testing.T, fields []string) compare.Subject {
	t.Helper()
	s := compare.Subject{State: compare.State(fields[0]), Output: verify.Output{Ecosystem: fields[1], Key: path(fields[2])}}
	if len(fields) > 3 {
		s.Place = closure.Place{Attribute: fields[3], System: fields[4], Name: fields[5]}
	}
	if err := attestation.ValidateOutput(s.Ecosystem, s.Key); err != nil {
		t.Fatal(err)
	}
	return s
}

// path writes out "x:name".
func path(key string) string {
	letter, name, found := strings.Cut(key, ":")
	if !found || len(letter) != 1 {
		return key
	}
	return "/nix/store/" + strings.Repeat(letter, 32) + "-" + name
}

// TestVectors runs the conformance vectors.
func TestVectors(t *testing.T) {
	seen := map[compare.Class]bool{}
	for _, v := range readVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			c := compare.Compare(v.base, v.head)
			var got []string
			for _, change := range c.Changes {
				seen[change.Class] = true
				line := fmt.Sprintf("%s %s %s %s", string(change.Class), change.Name, place(change.Base), place(change.Head))
				if change.Same {
					line += " ="
				}
				got = append(got, line)
			}
			slices.Sort(got)
			slices.Sort(v.want)
			if diff := cmp.Diff(v.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkCounts(t, c, v.base, v.head)
		})
	}
	for _, class := range compare.Classes() {
		if !seen[class] {
			t.Errorf("no case expects %q", class)
		}
	}
}

func place(at int) string {
	if at < 0 {
		return "-"
	}
	return fmt.Sprint(at)
}

// checkCounts holds the counts to the changes and to each other: each number is the sum of
// its parts, and every output of both sides is in one.
func checkCounts(t *testing.T, c *compare.Comparison, base, head []compare.Subject) {
	t.Helper()
	n := map[compare.Class]int{}
	heads, bases := map[int]int{}, map[int]bool{}
	for _, change := range c.Changes {
		n[change.Class]++
		if change.Head >= 0 {
			heads[change.Head]++
		}
		if change.Base >= 0 {
			bases[change.Base] = true
		}
	}
	if len(heads) != len(head) || len(bases) != len(base) {
		t.Errorf("of %d and %d outputs %d and %d are told of", len(base), len(head), len(bases), len(heads))
	}
	for at, times := range heads {
		if times != 1 {
			t.Errorf("output %d of head is told of %d times", at, times)
		}
	}
	got := c.Counts
	for _, sum := range []struct {
		of         string
		whole, sum int
	}{
		{"outputs of base", got.Base, len(base)},
		{"outputs of head", got.Head, len(head)},
		{"head", got.Head, got.Both.Outputs + got.New.Outputs},
		{"both", got.Both.Outputs, got.Compared.Outputs + got.Both.NotBuilt + got.Both.Uncompared},
		{"compared", got.Compared.Outputs, got.Compared.Regressed + got.Compared.Fixed + got.Compared.StillDiverged + got.Compared.Unchanged},
		{"new", got.New.Outputs, got.New.Reproduced + got.New.Diverged + got.New.NotBuilt},
		{"regressed", got.Compared.Regressed, n[compare.Regressed]},
		{"fixed", got.Compared.Fixed, n[compare.Fixed]},
		{"still diverged", got.Compared.StillDiverged, n[compare.StillDiverged]},
		{"unchanged", got.Compared.Unchanged, n[compare.Unchanged]},
		{"not built", got.Both.NotBuilt, n[compare.NotBuilt]},
		{"uncompared", got.Both.Uncompared, n[compare.Uncompared]},
		{"removed", got.Removed, n[compare.Removed]},
		{"new", got.New.Outputs, n[compare.New]},
	} {
		if sum.whole != sum.sum {
			t.Errorf("%s: %d, and the parts are %d: %+v", sum.of, sum.whole, sum.sum, got)
		}
	}
}
