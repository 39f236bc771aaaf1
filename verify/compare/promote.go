package compare

import (
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/policy"
)

// An Excuse is why an output of a candidate is kept back, or is let through with a warning.
// The word is Debian's, whose migrations to testing are decided so.
type Excuse struct {
	Change
	// Decision is on the output of the candidate. Its action says whether it blocks.
	Decision policy.Decision
}

// Blocks reports whether the promotion has to be kept back for it.
func (e *Excuse) Blocks() bool { return e.Decision.Action == policy.Refuse }

// Waits reports whether all that is wanting is evidence.
func (e *Excuse) Waits() bool {
	return e.Decision.Finding != verify.Diverged && e.Decision.Finding != verify.Mismatch
}

// A Promotion is what comes of letting one revision take another's place.
type Promotion struct {
	*Comparison
	// Excuses are of outputs that are kept back or warned about, in the order of Changes.
	Excuses []Excuse
}

// Promote says what keeps to from taking the place of from under a policy, which both are
// judged by already.
//
// An output blocks if the policy refuses it and it makes the set worse: it is new, or the
// policy accepted what was in its place. What was refused before as well does not block, nor
// does an output that both have: keeping it back would help nobody. The section of the policy
// that is about an output may refuse in particular what was reproduced before (regressed).
func Promote(p *policy.Policy, from, to *closure.Report) *Promotion {
	promotion := &Promotion{Comparison: Reports(p, from, to)}
	for _, change := range promotion.Changes {
		if change.Head < 0 || change.Same {
			continue
		}
		before := policy.Accept // of nothing
		if change.Base >= 0 {
			before = from.Results[change.Base].Decision.Action
		}
		if d := to.Results[change.Head].Decision; d.Action.Stricter(before) {
			promotion.Excuses = append(promotion.Excuses, Excuse{change, d})
		}
	}
	return promotion
}

// Blocked returns how many outputs block the promotion, and how many of those only wait for
// evidence.
func (p *Promotion) Blocked() (blocked, waiting int) {
	for i := range p.Excuses {
		if e := &p.Excuses[i]; e.Blocks() {
			blocked++
			if e.Waits() {
				waiting++
			}
		}
	}
	return blocked, waiting
}
