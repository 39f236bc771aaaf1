package divergence

import "iter"

// Standing says whether a claim moves the verdict, and if not, why.
type Standing uint8

// The standings of claims.
const (
	// Stands: it is in its operator's position.
	Stands Standing = iota
	// Uncounted: its builder does not count, at that place in the ledger.
	Uncounted
	// Superseded: the builder signed a document later that names the output.
	Superseded
	// AmbiguousName: a document of that second, the builder's latest, lists the
	// output with several digests.
	AmbiguousName
)

// Weigh yields the claims with their standing, in the order of Claims.
//
// Documents have no signed names and no order but their signers' own clocks. So
// a document of a builder replaces what the builder's earlier-signed ones said of
// the outputs that it names, in whatever order they came to the ledger; two
// signed in the same second both stand. If one of those lists the output with
// several digests, the builder says nothing of it. Claims that do not count take
// part in none of that: who steals a key, which then is revoked, replaces
// nothing.
func (o *Output) Weigh(operators Operators) iter.Seq2[Claim, Standing] {
	return func(yield func(Claim, Standing) bool) {
		latest := o.latest(operators)
		for _, c := range o.Claims {
			_, counted := operators.Counts(c.Builder, c.Index)
			if !yield(c, latest.standing(c, counted)) {
				return
			}
		}
	}
}

// documents is what is known of the latest documents of each builder.
type documents map[uint32]document

type document struct {
	signedAt  uint64
	ambiguous bool
}

// latest returns nil where no claim is of a document.
func (o *Output) latest(operators Operators) documents {
	var latest documents
	for _, c := range o.Claims {
		if c.SignedAt == 0 {
			continue
		}
		if _, counted := operators.Counts(c.Builder, c.Index); !counted {
			continue
		}
		if latest == nil {
			latest = documents{}
		}
		d := latest[c.Builder]
		if c.SignedAt > d.signedAt {
			d = document{signedAt: c.SignedAt}
		}
		if c.SignedAt == d.signedAt {
			d.ambiguous = d.ambiguous || c.Ambiguous
		}
		latest[c.Builder] = d
	}
	return latest
}

func (l documents) standing(c Claim, counted bool) Standing {
	switch {
	case !counted:
		return Uncounted
	case c.SignedAt == 0:
		return Stands
	case c.SignedAt < l[c.Builder].signedAt:
		return Superseded
	case l[c.Builder].ambiguous:
		return AmbiguousName
	default:
		return Stands
	}
}
