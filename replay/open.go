package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// A part is what a piece of the ledger says.
type part struct {
	ops    *[Partitions][]byte
	keys   []keyed
	days   []dayStart // where the day changes
	sets   []Set
	roots  []mapRoot
	said   []statement
	heard  []heard // documents
	totals Totals
	// observed are all entries, if somebody is told of them.
	observed []Observed
}

// A statement is what has to be known of one to recognise it in a later entry, and
// to take that back.
type statement struct {
	index        uint64
	receivedAt   time.Time
	key          reading.Key
	builder      uint32
	observations uint64
	failures     uint64
}

// keyed is an entry and the keys of the map under which it is.
type keyed struct {
	index uint64
	ids   []attestation.OutputID
}

func (p *part) add(o *op) {
	ops := &p.ops[o.id[0]]
	*ops = o.append(*ops)
}

// open reads a piece of the ledger. The roster does not change meanwhile.
func (r *Replay) open(ctx context.Context, from, to uint64) (*part, error) {
	p := &part{}
	if buffers, ok := r.buffers.Get().(*[Partitions][]byte); ok {
		p.ops = buffers
	} else {
		p.ops = new([Partitions][]byte)
	}
	day := int64(-1)
	for record, err := range r.ledger.Tree.Records(ctx, from, to) {
		if err != nil {
			return nil, err
		}
		e, err := reading.Decode(record)
		if errors.Is(err, reading.ErrNewerRules) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ledger.ErrInvalid, record.Index, err)
		}
		if d := e.ReceivedAt.Unix() / daySeconds; d != day {
			day = d
			p.days = append(p.days, dayStart{record.Index, d})
		}
		ids, err := r.entry(ctx, p, record.Index, e)
		switch {
		case errors.Is(err, errUnlisted):
			return nil, r.unlisted(ctx, record.Index)
		case err != nil:
			return nil, fmt.Errorf("entry %d: %w", record.Index, err)
		}
		if len(ids) > 0 {
			p.keys = append(p.keys, keyed{record.Index, ids})
		}
	}
	return p, nil
}

var errUnlisted = errors.New("the index of the mirror does not have it: remove the mirror's directory \"index\"")

// unlisted says why the index of the mirror does not list an entry: such an index ends
// at the first entry that this program does not know.
func (r *Replay) unlisted(ctx context.Context, index uint64) error {
	for record, err := range r.ledger.Tree.Records(ctx, 0, index) {
		if err != nil {
			return err
		}
		e, err := reading.Decode(record)
		if err == nil {
			err = reading.Known(record.Index, e)
		}
		if errors.Is(err, reading.ErrNewerRules) {
			return err
		}
	}
	return fmt.Errorf("entry %d: %w", index, errUnlisted)
}

// entry takes one entry in, and returns the keys under which the map has it.
func (r *Replay) entry(ctx context.Context, p *part, index uint64, e *ledger.Entry) ([]attestation.OutputID, error) {
	said, err := r.reader.Read(ctx, index, e)
	if err != nil {
		return nil, err
	}
	r.observe(p, Observed{Index: index, ReceivedAt: e.ReceivedAt, Said: said})
	switch said := said.(type) {
	case *reading.Statement:
		r.attestation(p, index, e, said)
		return said.Outputs, nil // as outputmap.Keys would say, without reading it twice
	case *reading.Document:
		r.document(p, index, e, said)
		return said.Outputs, nil
	case *reading.Set:
		return nil, r.publish(ctx, p, index, e, said)
	case *reading.MapRoot:
		p.roots = append(p.roots, mapRoot{index, *said, nil})
	case *reading.Refused:
		if e.Kind == ledger.MapRoot {
			p.roots = append(p.roots, mapRoot{index, outputmap.Root{}, said})
		}
	}
	switch e.Kind {
	case ledger.Enrolment, ledger.Revocation:
		if !listed(r.ledger.Roster, index) {
			return nil, errUnlisted
		}
	case ledger.Erased:
		if !listed(r.ledger.Erased, index) {
			return nil, errUnlisted
		}
	default:
	}
	return outputmap.Keys(index, e)
}

// attestation takes a statement in.
func (r *Replay) attestation(p *part, index uint64, e *ledger.Entry, s *reading.Statement) {
	said := statement{index: index, receivedAt: e.ReceivedAt, key: s.Key, builder: s.Number, failures: uint64(len(s.Failures()))}
	for w := range s.Withdrawals() {
		p.add(&op{id: w.ID, index: index, kind: withdraw, builder: w.Builder, digest: w.Digest})
	}
	for c := range s.Claims() {
		said.observations++
		p.claim(index, &c)
	}
	p.totals.Attestations++
	p.totals.Observations += said.observations
	p.totals.Failures += said.failures
	p.said = append(p.said, said)
}

// document takes in what a third party's document says in the names of those whose
// signatures count.
func (r *Replay) document(p *part, index uint64, e *ledger.Entry, d *reading.Document) {
	if d.Reason() != "" {
		return
	}
	p.totals.Attestations++
	for _, signer := range d.Counted() {
		p.heard = append(p.heard, heard{signer.Number, uint64(len(d.Rows)), e.ReceivedAt})
		p.totals.Observations += uint64(len(d.Rows))
	}
	for c := range d.Claims() {
		p.claim(index, &c)
	}
}

func (p *part) claim(index uint64, c *reading.Claim) {
	o := op{id: c.ID, index: index, builder: c.Builder, digest: c.Digest, inputs: c.Inputs, signedAt: c.SignedAt}
	switch {
	case c.Ambiguous:
		o.kind = addAmbiguous
	case c.Document:
		o.kind = addDocument
	}
	p.add(&o)
}

// publish takes a revision of a package set in.
func (r *Replay) publish(ctx context.Context, p *part, index uint64, e *ledger.Entry, published *reading.Set) error {
	members, err := published.Members(ctx, r.members)
	if _, refused := errors.AsType[*reading.Refused](err); refused {
		return nil // moves nothing, for any reader
	}
	if err != nil {
		return err
	}
	r.observeMembers(p, members)
	for i := range members.Counted {
		p.add(&op{id: attestation.NewOutputID(published.Ecosystem, members.Counted[i].Key), index: index, kind: member})
	}
	p.sets = append(p.sets, Set{
		Name: published.Name, Revision: published.Revision, Index: index, PublishedAt: e.ReceivedAt, Members: uint64(len(members.Counted)),
	})
	return nil
}
