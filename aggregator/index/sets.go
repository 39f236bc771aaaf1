package index

import (
	"context"
	"errors"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// publish indexes a revision of a package set: which outputs are members from
// now on, and how many of them have which verdict.
func (f *fold) publish(ctx context.Context, it *item) error {
	b := newBatch(it.index + 1)
	set, _ := it.said.(*reading.Set) // else it is ignored
	var members *reading.Members
	if set != nil {
		var err error
		if members, err = set.Members(ctx, f.ledger.Attachment); err != nil {
			refused, ok := errors.AsType[*reading.Refused](err)
			if !ok {
				return err
			}
			it.ignored = refused.Error()
		}
	}
	f.entry(b, it)
	if it.ignored == "" {
		if err := f.revise(ctx, b, it, set.Entry, members.Counted); err != nil {
			return err
		}
	}
	f.finish(ctx, b, it.receivedAt)
	return f.tables.Write(ctx, &b.Batch)
}

func (f *fold) revise(ctx context.Context, b *batch, it *item, entry *pkgset.Entry, members []pkgset.Member) error {
	f.ecosystem(b, entry.Ecosystem)
	numbers, verdicts, err := f.numberMembers(ctx, b, entry.Ecosystem, members)
	if err != nil {
		return err
	}
	before, err := f.tables.MembersBefore(ctx, entry.Name, it.index)
	if err != nil {
		return err
	}
	s := f.scope(entry.Name)
	for output := range before {
		f.members[output] = slices.DeleteFunc(f.members[output], func(other *scope) bool { return other == s })
	}
	var counts store.Counts
	for i := range members {
		m := member(&members[i], entry.Name, it.index, numbers)
		f.members[m.Output] = append(f.members[m.Output], s)
		counts[verdicts[m.Output]]++
		old, was := before[m.Output]
		delete(before, m.Output)
		if was && same(&old, &m) {
			continue
		}
		if was {
			old.Until = it.index
			b.Members = append(b.Members, old)
		}
		b.Members = append(b.Members, m)
	}
	for _, gone := range before {
		gone.Until = it.index
		b.Members = append(b.Members, gone)
	}
	b.Sets = append(b.Sets, store.Set{
		Name: entry.Name, Index: it.index, Revision: entry.Revision, Ecosystem: entry.Ecosystem,
		Members: uint64(len(members)), ReceivedAt: it.receivedAt,
	})
	if it.index >= s.version {
		s.counts = counts
		b.note(s, it.receivedAt)
	}
	return nil
}

// numberMembers gives numbers to the members that have none, in the order of
// their keys, and returns all numbers by key and verdicts by number.
func (f *fold) numberMembers(ctx context.Context, b *batch, ecosystem string, members []pkgset.Member) (map[string]uint32, map[uint32]divergence.Verdict, error) {
	numbers := make(map[string]uint32, len(members))
	verdicts := make(map[uint32]divergence.Verdict, len(members))
	for part := range slices.Chunk(members, slice) {
		ids := make([]attestation.OutputID, len(part))
		for i := range part {
			ids[i] = attestation.NewOutputID(ecosystem, part[i].Key)
		}
		states, err := f.tables.Touched(ctx, ids)
		if err != nil {
			return nil, nil, err
		}
		for i, m := range part {
			o := output{State: store.State{Judged: store.Judged{ID: ids[i], Output: unnumbered}}}
			if s, ok := states[ids[i]]; ok {
				o.State = *s
			}
			if o.Output >= f.watermark.Outputs {
				f.number(b, &o, store.OutputName{Ecosystem: ecosystem, Key: m.Key, Build: m.Build, Name: m.Output})
				o.Version = b.end
				b.States = append(b.States, o.State)
			}
			if m.Build != "" {
				id := attestation.NewOutputID(ecosystem, m.Build)
				b.pair(&b.Builds, store.Short(id[:]), o.Output)
			}
			numbers[m.Key], verdicts[o.Output] = o.Output, o.Verdict
		}
	}
	return numbers, verdicts, nil
}

func member(m *pkgset.Member, set string, index uint64, numbers map[string]uint32) store.Member {
	row := store.Member{
		Output: numbers[m.Key], Set: set, Since: index, Until: store.Newest, Name: m.Output,
		Attribute: m.Attribute, Version: m.Version, System: m.System, Maintainers: m.Maintainers,
	}
	for _, key := range m.Inputs {
		if number, ok := numbers[key]; ok {
			row.Inputs = append(row.Inputs, number)
		}
	}
	return row
}

// same reports whether a member stays as it is in a new revision.
func same(a, b *store.Member) bool {
	return a.Name == b.Name && a.Attribute == b.Attribute && a.Version == b.Version && a.System == b.System &&
		slices.Equal(a.Maintainers, b.Maintainers) && slices.Equal(a.Inputs, b.Inputs)
}
