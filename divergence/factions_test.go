package divergence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/divergence"
)

func TestFactions(t *testing.T) {
	type faction = divergence.Faction[string, string]
	for name, test := range map[string]struct {
		claims [][2]string // digest, holder
		want   []faction
	}{
		"none":                    {nil, []faction{}},
		"one, repeated":           {[][2]string{{"a", "x"}, {"a", "x"}}, []faction{{"a", []string{"x"}}}},
		"holders in order":        {[][2]string{{"a", "z"}, {"a", "x"}, {"a", "y"}}, []faction{{"a", []string{"x", "y", "z"}}}},
		"greatest first":          {[][2]string{{"a", "x"}, {"b", "y"}, {"b", "z"}}, []faction{{"b", []string{"y", "z"}}, {"a", []string{"x"}}}},
		"equals as they come":     {[][2]string{{"b", "y"}, {"a", "x"}}, []faction{{"b", []string{"y"}}, {"a", []string{"x"}}}},
		"a holder of two digests": {[][2]string{{"b", "x"}, {"a", "x"}}, []faction{{"b", []string{"x"}}, {"a", []string{"x"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := divergence.Factions(func(yield func(string, string) bool) {
				for _, c := range test.claims {
					if !yield(c[0], c[1]) {
						return
					}
				}
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
