package policy

import (
	"fmt"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/verify"
)

// asks reports whether an action for regressions has something to look for.
func (a Action) asks() bool { return a != "" && a != Accept }

// AsksBefore reports whether the policy asks, of an output that it decided on, for the evidence
// on earlier versions ([Case.Before]): it diverged, and is not known to have regressed.
func (p *Policy) AsksBefore(d *Decision) bool {
	return d.Finding == verify.Diverged && d.Regressed == nil && slices.ContainsFunc(p.Sections, func(s Section) bool { return s.Name == d.Section && s.Regressed.asks() })
}

// lookBack looks whether what diverged was reproduced before: the output itself, until
// somebody dissented, or an earlier version. It makes a decision stricter, never laxer.
func (s *Section) lookBack(c Case, d *Decision) {
	r := s.itself(c.Evidence)
	for _, before := range c.Before {
		if r != nil {
			break
		}
		was := Decision{Action: Refuse}
		s.decide(Case{Evidence: before, Past: true}, &was)
		if was.Finding == verify.Accepted {
			r = &Regression{Output: before.Output}
		}
	}
	if r == nil {
		return
	}
	d.Regressed = r
	d.lower(s.Regressed, verify.Diverged)
	d.because("regressed: %s", r)
}

func (r *Regression) String() string {
	if r.Until > 0 {
		return fmt.Sprintf("it was reproduced until ledger index %d", r.Until)
	}
	return fmt.Sprintf("%s, in whose place it came, is reproduced", r.Output)
}

// itself returns up to where the section would have taken the output for reproduced, by the
// claims that count today: who withdrew a claim, or was revoked, never made it.
func (s *Section) itself(e *verify.Evidence) *Regression {
	var agreed attestation.Digest
	var operators []string
	for _, claim := range e.Claims {
		switch {
		case claim.Standing != verify.Counts || slices.Contains(s.Excluded, claim.Operator):
			continue
		case agreed.IsZero():
			agreed = claim.Digest
		case claim.Digest != agreed:
			if s.enough(operators) {
				return &Regression{Output: e.Output, Until: claim.Index}
			}
			return nil
		}
		if s.trusts(claim.Operator) && !slices.Contains(operators, claim.Operator) {
			operators = append(operators, claim.Operator)
		}
	}
	return nil
}

// enough reports whether operators that agree are a quorum, with all that are required.
func (s *Section) enough(operators []string) bool {
	return len(operators) >= int(s.Quorum) && !slices.ContainsFunc(s.Required, func(o string) bool { return !slices.Contains(operators, o) })
}
