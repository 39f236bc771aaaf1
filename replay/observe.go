package replay

import (
	"context"
	"time"

	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// Observed is an entry of the ledger with what it says.
type Observed struct {
	Index      uint64
	ReceivedAt time.Time
	Said       reading.Said
	// Members are those of a package set; nil of anything else, and of a set that moves
	// nothing because its attachment is not what the entry says.
	Members *reading.Members
	// Repeated tells that an earlier entry has the same statement of the same builder, so
	// that this one moves nothing.
	Repeated bool
}

// observe takes note of an entry, if somebody is told.
func (r *Replay) observe(p *part, o Observed) {
	if r.config.Observe != nil {
		p.observed = append(p.observed, o)
	}
}

// observeMembers completes the entry that was observed last.
func (r *Replay) observeMembers(p *part, members *reading.Members) {
	if r.config.Observe != nil {
		p.observed[len(p.observed)-1].Members = members
	}
}

// A BuilderTotal is an enrolled builder with what is counted of it.
type BuilderTotal struct {
	enrolment.Builder
	Attestations, Observations uint64
	LastSeen                   time.Time // zero of one that never said anything
}

// Builders returns the enrolled builders, in the order of their enrolment.
func (r *Replay) Builders() []BuilderTotal {
	var list []BuilderTotal
	for b := range r.roster.All() {
		t := BuilderTotal{Builder: b}
		if counted, ok := r.builders[b.Number]; ok {
			t.Attestations, t.Observations, t.LastSeen = counted.attestations, counted.observations, counted.last
		}
		list = append(list, t)
	}
	return list
}

// Rules is the version of the rules that judges the last entry.
func (r *Replay) Rules() reading.Version { return reading.Version(r.roster.RulesAt(r.Size)) }

// Find returns a ledger of the first size entries of a tree, with the places of what
// changes who counts: for a caller without an index of its own. It reads every entry.
func Find(ctx context.Context, tree Entries, origin string, size uint64) (Ledger, error) {
	l := Ledger{Tree: tree, Size: size, Origin: origin}
	for record, err := range tree.Records(ctx, 0, size) {
		if err != nil {
			return Ledger{}, err
		}
		switch record.Kind() {
		case ledger.Enrolment, ledger.Revocation, ledger.Rules:
			l.Roster = append(l.Roster, record.Index)
		case ledger.Erased:
			l.Erased = append(l.Erased, record.Index)
		default:
		}
	}
	return l, nil
}
