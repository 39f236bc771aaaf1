package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/verify"
)

// A Case is what a policy judges.
type Case struct {
	Evidence *verify.Evidence
	// Sets are the names of the package sets that the output is in, at least of
	// those that the policy speaks of ([Policy.Sets]).
	Sets []string
	// Digest is that of what is there, or about to be; nil if unknown.
	Digest *attestation.Digest
	// Now is the time for which it is judged.
	Now time.Time
	// Past tells that it is of an earlier state, where it is not asked how long ago the
	// claims were received.
	Past bool
	// Before is the evidence on outputs in whose place this one came: earlier versions. It
	// is asked for where [Policy.AsksBefore] says so.
	Before []*verify.Evidence
}

// A Decision is what a policy makes of one output.
type Decision struct {
	Action Action `json:"action"`
	// Finding is what the action rests on.
	Finding verify.Finding `json:"finding"`
	Section string         `json:"section,omitempty"`
	// Regressed says what was reproduced before, of a divergence where the section asks.
	Regressed *Regression `json:"regressed,omitempty"`
	// Reasons are sentences for people.
	Reasons []string `json:"reasons"`
}

// A Regression is what was reproduced before an output diverged.
type Regression struct {
	// Output is the one that was: the same, or an earlier version in its place.
	Output string `json:"output"`
	// Until is, of the same output, the ledger index of the claim that first dissented.
	Until uint64 `json:"until,omitzero"`
}

func (d *Decision) String() string {
	return fmt.Sprintf("%s (%s): %s", d.Action, d.Finding, strings.Join(d.Reasons, "; "))
}

func (d *Decision) because(format string, args ...any) {
	d.Reasons = append(d.Reasons, fmt.Sprintf(format, args...))
}

// Judge decides on an output.
func (p *Policy) Judge(c Case) Decision {
	for i := range p.Sections {
		s := &p.Sections[i]
		if (s.Ecosystem == "" || s.Ecosystem == c.Evidence.Ecosystem) && (s.Set == "" || slices.Contains(c.Sets, s.Set)) {
			return s.judge(c)
		}
	}
	return Decision{Action: Refuse, Finding: verify.Insufficient, Reasons: []string{"no section of the policy is about it"}}
}

func (s *Section) judge(c Case) Decision {
	d := Decision{Action: Refuse, Section: s.Name}
	s.decide(c, &d)
	if d.Finding == verify.Diverged && s.Regressed.asks() {
		s.lookBack(c, &d)
	}
	return d
}

// decide decides by the evidence on the output itself.
func (s *Section) decide(c Case, d *Decision) {
	var trusted, others []verify.Position
	for _, position := range c.Evidence.Digests() {
		t, o := position, position
		t.Operators, o.Operators = nil, nil
		for _, operator := range position.Operators {
			switch {
			case s.trusts(operator):
				t.Operators = append(t.Operators, operator)
			case !slices.Contains(s.Excluded, operator):
				o.Operators = append(o.Operators, operator)
			}
		}
		if t.Operators != nil {
			trusted = append(trusted, t)
		}
		if o.Operators != nil {
			others = append(others, o)
		}
	}
	switch len(trusted) {
	case 0:
		d.Finding = verify.Insufficient
		d.because("no trusted operator has said anything about it")
	case 1:
		s.weigh(c, trusted[0], others, d)
	default:
		d.Finding = verify.Diverged
		for _, position := range trusted {
			d.because("%s by %s", position.Digest, strings.Join(position.Operators, ", "))
		}
	}
}

// weigh decides where the trusted operators agree.
func (s *Section) weigh(c Case, agreed verify.Position, others []verify.Position, d *Decision) {
	d.Action, d.Finding = Accept, verify.Accepted
	for _, position := range others {
		if position.Digest != agreed.Digest {
			d.lower(orRefuse(s.Diverged), verify.Diverged)
			d.because("%s, not trusted, got %s", strings.Join(position.Operators, ", "), position.Digest)
		}
	}
	if n := len(agreed.Operators); n < int(s.Quorum) {
		d.lower(orRefuse(s.Single), verify.Insufficient)
		d.because("%d of the %d operators that are asked for agree: %s", n, s.Quorum, strings.Join(agreed.Operators, ", "))
	}
	for _, operator := range s.Required {
		if !slices.Contains(agreed.Operators, operator) {
			d.lower(Refuse, verify.Insufficient)
			d.because("%s is required and has not spoken", operator)
		}
	}
	if s.MaxAge > 0 && !c.Past {
		age := c.Now.Sub(s.newest(c.Evidence, agreed))
		switch {
		case age < -verify.MaxAhead:
			d.lower(Refuse, verify.Insufficient)
			d.because("the newest claim is dated %s ahead of this machine's clock", Age((-age).Truncate(time.Minute)))
		case age > time.Duration(s.MaxAge):
			d.lower(Refuse, verify.Insufficient)
			d.because("the newest claim is %s old, more than %s", Age(age.Truncate(time.Hour)), s.MaxAge)
		}
	}
	if c.Digest != nil && *c.Digest != agreed.Digest {
		d.lower(Refuse, verify.Mismatch)
		d.because("it is %s here, and %s for %s", c.Digest, agreed.Digest, strings.Join(agreed.Operators, ", "))
	}
	if d.Finding == verify.Accepted {
		d.because("%d agree: %s", len(agreed.Operators), strings.Join(agreed.Operators, ", "))
	}
}

// lower makes the action stricter, if it is. The first finding of the strictest
// action is the one that counts.
func (d *Decision) lower(to Action, finding verify.Finding) {
	stricter := to.Stricter(d.Action)
	if d.Finding == verify.Accepted || stricter {
		d.Finding = finding
	}
	if stricter {
		d.Action = to
	}
}

// Stricter reports whether an action is stricter than another one.
func (a Action) Stricter(than Action) bool {
	order := []Action{Accept, Warn, Refuse}
	return slices.Index(order, a) > slices.Index(order, than)
}

func orRefuse(a Action) Action {
	if a == "" {
		return Refuse
	}
	return a
}

// newest returns when the last of the claims that agree was received.
func (s *Section) newest(e *verify.Evidence, agreed verify.Position) time.Time {
	var newest time.Time
	for _, claim := range e.Claims {
		if claim.Standing == verify.Counts && claim.Digest == agreed.Digest && s.trusts(claim.Operator) && claim.ReceivedAt.After(newest) {
			newest = claim.ReceivedAt
		}
	}
	return newest
}
