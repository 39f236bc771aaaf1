package dashboard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
)

func TestAssertedHistory(t *testing.T) {
	dated := func(operator, digest string, day int, counts bool) Claim {
		c := claim(operator, digest, counts)
		c.Kind, c.SignedOn = "signed-sums", time.Date(2024, 5, day, 12, 0, 0, 0, time.UTC)
		if !counts {
			c.Status = api.StandingSuperseded
		}
		return c
	}
	revoked := dated("eve", "z", 1, false)
	revoked.Status = api.StandingRevoked
	for name, c := range map[string]struct {
		claims []Claim // in the order of the ledger
		want   []assertedView
	}{
		"in another order than they came": {
			[]Claim{dated("c", "y", 20, true), dated("b", "x", 10, true), dated("a", "x", 3, true)},
			[]assertedView{{"unbuilt", "single", "2024-05-03"}, {"single", "reproduced", "2024-05-10"}, {"reproduced", "diverged", "2024-05-20"}},
		},
		"one who corrected themselves": {
			[]Claim{dated("a", "x", 3, true), dated("b", "y", 4, false), dated("b", "x", 5, true)},
			[]assertedView{{"unbuilt", "single", "2024-05-03"}, {"single", "diverged", "2024-05-04"}, {"diverged", "reproduced", "2024-05-05"}},
		},
		"what has no date, and who does not count": {[]Claim{claim("a", "x", true), claim("b", "y", true), revoked}, nil},
	} {
		if diff := cmp.Diff(c.want, assertedHistory(c.claims)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
