package monitor

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// chains are the streams of one builder's statements.
type chains struct {
	next    uint64 // ledger index
	streams map[string]*stream
	indices []uint64 // of the statements, ascending
	revoked []error  // what was said of revocations that reach back
}

type stream struct {
	payloads map[uint64]attestation.Digest // by sequence
	previous map[uint64]attestation.Digest // what the next one says of a sequence
	skipped  map[attestation.Digest]struct{}
	forked   map[uint64]struct{}
}

func newChains() *chains { return &chains{streams: map[string]*stream{}} }

// follow takes in what the tree has grown by.
func (c *chains) follow(ctx context.Context, tree *ledger.Tree, key *signing.PublicKey) error {
	reader := reading.New(only{key}, nil).In(tree.Origin()) // which names no attachment
	for record, err := range tree.Records(ctx, c.next, tree.Size()) {
		if err != nil {
			return err
		}
		c.next = record.Index + 1
		entry, err := record.Entry()
		if err != nil || entry.Kind != ledger.Revocation && !entry.Kind.IsStatement() {
			continue
		}
		said, err := reader.Read(ctx, record.Index, entry)
		if err != nil {
			return err
		}
		switch said := said.(type) { // anything else is not this builder's word
		case *reading.Revocation:
			c.revoke(record.Index, said, key.Builder())
		case *reading.Statement:
			c.indices = append(c.indices, record.Index)
			c.take(said.Chain, said.Payload)
		}
	}
	return nil
}

// revoke notes a revocation that takes away what the builder said before it.
func (c *chains) revoke(index uint64, r *reading.Revocation, builder signing.BuilderID) {
	if r.Builder != builder {
		return
	}
	first, _ := slices.BinarySearch(c.indices, r.From)
	if n := len(c.indices) - first; n > 0 {
		c.revoked = append(c.revoked, fmt.Errorf("ledger index %d revokes your builder from ledger index %d on, which takes %d of its earlier statements away, the first at %d; the reason given is %.200q",
			index, r.From, n, c.indices[first], r.Reason))
	}
}

// only is a [reading.Roster] of one builder, whose key is valid at any time.
type only struct{ key *signing.PublicKey }

// Lookup implements [reading.Roster].
func (o only) Lookup(id signing.BuilderID) (signing.Key, error) {
	if id != o.key.Builder() {
		return signing.Key{}, signing.ErrUnknownBuilder
	}
	return signing.Key{PublicKey: o.key}, nil
}

// Builder implements [reading.Roster].
func (o only) Builder(id signing.BuilderID) (enrolment.Builder, bool) {
	return enrolment.Builder{ID: id, Key: signing.Key{PublicKey: o.key}}, id == o.key.Builder()
}

// Certificates implements [reading.Roster].
func (only) Certificates(string) []attestation.Digest { return nil }

// RulesAt implements [reading.Roster]: no version says anything else of statements.
func (only) RulesAt(uint64) uint32 { return uint32(reading.Newest) }

// Caches implements [reading.Roster].
func (only) Caches(string) []enrolment.Builder { return nil }

// Keyless implements [reading.Roster].
func (only) Keyless(signing.Identity) (enrolment.Builder, bool) { return enrolment.Builder{}, false }

func (c *chains) take(link attestation.Chain, payload attestation.Digest) {
	if link.Stream == "" {
		return
	}
	s, ok := c.streams[link.Stream]
	if !ok {
		s = &stream{
			payloads: map[uint64]attestation.Digest{}, previous: map[uint64]attestation.Digest{},
			skipped: map[attestation.Digest]struct{}{}, forked: map[uint64]struct{}{},
		}
		c.streams[link.Stream] = s
	}
	if other, seen := s.payloads[link.Sequence]; seen && other != payload {
		s.forked[link.Sequence] = struct{}{}
	}
	s.payloads[link.Sequence] = payload
	if link.Sequence > 0 {
		s.previous[link.Sequence-1] = link.Previous
	}
	for _, d := range link.Skipped {
		s.skipped[d] = struct{}{}
	}
}

// odd says what is wrong with the chains.
func (c *chains) odd() (odd []error) {
	for _, id := range slices.Sorted(maps.Keys(c.streams)) {
		s := c.streams[id]
		for _, n := range slices.Sorted(maps.Keys(s.forked)) {
			odd = append(odd, fmt.Errorf("stream %s has two statements %d: another has the key, or the reporter's directory was copied", id, n))
		}
		for _, n := range slices.Sorted(maps.Keys(s.previous)) {
			said := s.previous[n]
			payload, there := s.payloads[n]
			_, bridged := s.skipped[said]
			_, forked := s.forked[n]
			switch {
			case bridged || forked || there && payload == said:
			case there:
				odd = append(odd, fmt.Errorf("stream %s: statement %d does not follow statement %d", id, n+1, n))
			default:
				odd = append(odd, fmt.Errorf("stream %s: statement %d, which statement %d follows, is not in the ledger", id, n, n+1))
			}
		}
	}
	return odd
}
