package replay

// spoken is who spoke about the members of a package set's newest revision: sums and
// sets, so that the order of the outputs does not matter.
type spoken struct {
	observations uint64              // claims on members, one for each entry, builder and output
	entries      []uint64            // a bit for each ledger entry with one
	builders     map[uint32]struct{} // who made them
}

// hear takes in the claims on a member of the revision that an entry published.
func (c *counts) hear(revision uint64, size uint64, ops []op) {
	s := c.spoken[revision]
	if s == nil {
		s = &spoken{entries: make([]uint64, size/64+1), builders: map[uint32]struct{}{}}
		c.spoken[revision] = s
	}
	type said struct {
		index   uint64
		builder uint32
	}
	var before []said // of the same entry: a document may list an output with several digests
	for i := range ops {
		o := &ops[i]
		if !o.kind.claims() {
			continue
		}
		if len(before) > 0 && before[0].index != o.index {
			before = before[:0]
		}
		now, known := said{o.index, o.builder}, false
		for _, b := range before {
			known = known || b == now
		}
		if known {
			continue
		}
		before = append(before, now)
		s.observations++
		s.entries[o.index/64] |= 1 << (o.index % 64)
		s.builders[o.builder] = struct{}{}
	}
}

func (s *spoken) merge(other *spoken) {
	s.observations += other.observations
	for i, word := range other.entries {
		s.entries[i] |= word
	}
	for b := range other.builders {
		s.builders[b] = struct{}{}
	}
}
