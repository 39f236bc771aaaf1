package dashboard

import (
	"slices"
	"time"

	"repronet.dev/api"
)

// An assertedView is a change of verdict on the day on which documents say that they were
// signed.
type assertedView struct {
	From, To string
	On       string // the day, in UTC
}

// assertedHistory is how the verdict would have changed if third parties' documents had come
// when they say that they were signed: their signers' own word, which nothing proves. What
// has no such date plays no part in it. A builder's later document replaces its earlier ones,
// as in package divergence.
func assertedHistory(claims []Claim) []assertedView {
	dated := slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool {
		return c.SignedOn.IsZero() || !c.Counts && c.Status != api.StandingSuperseded
	})
	slices.SortStableFunc(dated, func(a, b Claim) int { return a.SignedOn.Compare(b.SignedOn) })
	type position struct {
		operator string
		signed   time.Time
		digests  []string
	}
	positions := map[string]*position{} // by builder
	var history []assertedView
	verdict := api.Unbuilt
	for i, c := range dated {
		p := positions[c.Builder]
		if p == nil || c.SignedOn.After(p.signed) {
			p = &position{operator: c.Operator, signed: c.SignedOn}
			positions[c.Builder] = p
		}
		p.digests = append(p.digests, c.Digest)
		if i+1 < len(dated) && dated[i+1].SignedOn.Equal(c.SignedOn) {
			continue
		}
		operators, digests := map[string]bool{}, map[string]bool{}
		for _, p := range positions {
			operators[p.operator] = true
			for _, digest := range p.digests {
				digests[digest] = true
			}
		}
		now := api.Single
		switch {
		case len(digests) > 1:
			now = api.Diverged
		case len(operators) > 1:
			now = api.Reproduced
		}
		if now != verdict {
			history = append(history, assertedView{string(verdict), string(now), c.SignedOn.UTC().Format(time.DateOnly)})
			verdict = now
		}
	}
	return history
}
