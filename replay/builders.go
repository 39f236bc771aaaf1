package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"repronet.dev/api"
	"repronet.dev/enrolment"
)

// publishedBuilder is an element of the list of builders; its String is what is
// compared of it.
type publishedBuilder struct{ api.Builder }

func (b publishedBuilder) of() string { return "builder " + b.ID }

func (b publishedBuilder) String() string {
	text := fmt.Sprintf("%s of %s: %d attestations, %d observations", b.Tier, b.Operator, b.Attestations, b.Observations)
	if !b.LastSeen.IsZero() {
		text += ", the last on " + b.LastSeen.UTC().Format(time.RFC3339Nano)
	}
	if b.Revoked {
		text += "; revoked"
	}
	return text
}

// publishedPair is an element of the comparison of operators.
type publishedPair struct{ api.Agreement }

func (p publishedPair) of() string { return "operators " + p.A + " and " + p.B }

func (p publishedPair) String() string { return fmt.Sprintf("%d of %d alike", p.Agree, p.Common) }

// compareBuilders compares what is counted of each builder.
func (r *Replay) compareBuilders(p *Published) error {
	ours := make([]publishedBuilder, 0, len(p.builders))
	for b := range r.roster.All() {
		ours = append(ours, r.published(b))
	}
	theirs := make([]publishedBuilder, 0, len(p.builders))
	for _, b := range p.builders {
		theirs = append(theirs, publishedBuilder{b})
	}
	order := func(a, b publishedBuilder) int {
		return cmp.Or(compareStrings(a.Operator, b.Operator), compareStrings(a.ID, b.ID))
	}
	slices.SortFunc(ours, order)
	slices.SortFunc(theirs, order)
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(theirs) || i < len(ours) && order(ours[i], theirs[i]) < 0:
			return differ(ours[i].of(), "builder", ours[i], nothing)
		case i >= len(ours) || order(ours[i], theirs[i]) > 0:
			return differ(theirs[i].of(), "builder", nothing, theirs[i])
		case ours[i].String() != theirs[i].String():
			return differ(ours[i].of(), "builder", ours[i], theirs[i])
		}
	}
	return nil
}

// heard is an entry in a builder's name that claims so many outputs.
type heard struct {
	builder      uint32
	observations uint64
	receivedAt   time.Time
}

// A builder is what is counted of one.
type builder struct {
	attestations, observations uint64
	last                       time.Time
}

func (r *Replay) hear(h heard) {
	b, ok := r.builders[h.builder]
	if !ok {
		b = &builder{}
		r.builders[h.builder] = b
	}
	b.attestations++
	b.observations += h.observations
	if h.receivedAt.After(b.last) {
		b.last = h.receivedAt
	}
}

// published returns what has to be published of a builder.
func (r *Replay) published(b enrolment.Builder) publishedBuilder {
	p := publishedBuilder{api.Builder{ID: string(b.ID), Operator: b.Operator, Tier: api.Tier(b.Tier), Revoked: b.Revoked}}
	if counted, ok := r.builders[b.Number]; ok {
		p.Attestations, p.Observations, p.LastSeen = counted.attestations, counted.observations, counted.last
	}
	return p
}
