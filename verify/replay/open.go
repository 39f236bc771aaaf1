package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet/attestation"
	"repronet/divergence"
	"repronet/ledger"
	"repronet/outputmap"
	"repronet/pkgset"
	"repronet/signing"
)

// A part is what a piece of the ledger says.
type part struct {
	ops    *[partitions][]byte
	keys   []keyed
	days   []dayStart // where the day changes
	sets   []Set
	roots  []mapRoot
	said   []statement
	heard  []heard // documents
	totals Totals
	unread uint64
}

// A statement is what has to be known of one to recognise it in a later entry, and
// to take that back.
type statement struct {
	index        uint64
	receivedAt   time.Time
	key          statementKey
	observations uint64
	failures     uint64
}

// A statementKey is a builder and the first half of the payload's SHA-256.
type statementKey struct {
	builder uint32
	payload [16]byte
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
	if buffers, ok := r.buffers.Get().(*[partitions][]byte); ok {
		p.ops = buffers
	} else {
		p.ops = new([partitions][]byte)
	}
	day := int64(-1)
	for record, err := range r.ledger.Tree.Records(ctx, from, to) {
		if err != nil {
			return nil, err
		}
		e, err := record.Entry()
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ledger.ErrInvalid, record.Index, err)
		}
		if d := e.ReceivedAt.Unix() / daySeconds; d != day {
			day = d
			p.days = append(p.days, dayStart{record.Index, d})
		}
		ids, err := r.entry(ctx, p, record.Index, e)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", record.Index, err)
		}
		if len(ids) > 0 {
			p.keys = append(p.keys, keyed{record.Index, ids})
		}
	}
	return p, nil
}

var errUnlisted = errors.New("the index of the mirror does not have it: remove the mirror's directory \"index\"")

// entry takes one entry in, and returns the keys under which the map has it.
func (r *Replay) entry(ctx context.Context, p *part, index uint64, e *ledger.Entry) ([]attestation.OutputID, error) {
	switch e.Kind {
	case ledger.Attestation:
		ids, ok, err := r.attestation(ctx, p, index, e)
		if err != nil {
			return nil, err
		}
		if ok {
			return ids, nil // as outputmap.Keys would say, without reading it twice
		}
	case ledger.Enrolment, ledger.Revocation:
		if !listed(r.ledger.Roster, index) {
			return nil, errUnlisted
		}
	case ledger.Erased:
		if !listed(r.ledger.Erased, index) {
			return nil, errUnlisted
		}
	case ledger.PackageSet:
		if err := r.publish(ctx, p, index, e); err != nil {
			return nil, err
		}
	case ledger.MapRoot:
		root, err := outputmap.ParseRoot(index, e.Body)
		p.roots = append(p.roots, mapRoot{index, root, err})
	case ledger.OpenPGPSums, ledger.Narinfo:
		if err := r.evidence(ctx, p, index, e); err != nil {
			return nil, err
		}
	default:
	}
	ids, err := outputmap.Keys(e)
	if err != nil {
		p.unread++
	}
	return ids, nil
}

// attestation takes a statement in; ok is false if it does not verify.
func (r *Replay) attestation(ctx context.Context, p *part, index uint64, e *ledger.Entry) (ids []attestation.OutputID, ok bool, err error) {
	v, err := signing.OpenAny(ctx, e.Body, r.roster.Lookup, r.keys.Keyless, e.ReceivedAt)
	if err != nil {
		if signing.IsRefusal(err) {
			err = nil
		}
		return nil, false, err
	}
	builder, ok := r.roster.Builder(v.Builder())
	if !ok {
		return nil, false, nil
	}
	p.totals.Attestations++
	s := v.Statement()
	payload := v.PayloadDigest()
	p.said = append(p.said, statement{index: index, receivedAt: e.ReceivedAt, key: statementKey{builder.Number, [16]byte(payload[:16])}})
	said := &p.said[len(p.said)-1]
	if s.Type == attestation.BuildFailed {
		failed := map[string]struct{}{}
		for _, build := range s.Builds {
			failed[build.Name] = struct{}{}
		}
		said.failures = uint64(len(failed))
		p.totals.Failures += said.failures
		return nil, true, nil
	}
	ids = make([]attestation.OutputID, len(s.Subjects))
	for i, subject := range s.Subjects {
		ids[i] = attestation.NewOutputID(s.Ecosystem, subject.Name)
	}
	if s.Type == attestation.Withdraw {
		for i, subject := range s.Subjects {
			p.add(&op{id: ids[i], index: index, kind: withdraw, builder: builder.Number, digest: subject.Digest})
		}
		return ids, true, nil
	}
	said.observations = uint64(len(s.Subjects))
	p.totals.Observations += said.observations
	for _, build := range s.Builds {
		var inputs divergence.InputsKey
		if !build.InputsDigest.IsZero() {
			inputs = divergence.NewInputsKey(build.InputsDigest)
		}
		for _, i := range build.Outputs {
			p.add(&op{id: ids[i], index: index, builder: builder.Number, digest: s.Subjects[i].Digest, inputs: inputs})
		}
	}
	return ids, true, nil
}

// publish takes a revision of a package set in.
func (r *Replay) publish(ctx context.Context, p *part, index uint64, e *ledger.Entry) error {
	entry, err := pkgset.ParseEntry(e.Body)
	if err != nil {
		return nil //nolint:nilerr // moves nothing, for any reader
	}
	attachment, err := r.members(ctx, entry.SHA256)
	if err != nil {
		return fmt.Errorf("reading package set %s: %w", entry.Name, err)
	}
	members, err := pkgset.Decode(entry.Ecosystem, attachment)
	if err != nil || pkgset.Count(members) != entry.Members {
		return nil //nolint:nilerr // moves nothing, for any reader
	}
	set := Set{Name: entry.Name, Revision: entry.Revision, Index: index, PublishedAt: e.ReceivedAt}
	for i := range members {
		if members[i].Fixed {
			continue
		}
		set.Members++
		p.add(&op{id: attestation.NewOutputID(entry.Ecosystem, members[i].Key), index: index, kind: member})
	}
	p.sets = append(p.sets, set)
	return nil
}
