package replay

import "encoding/binary"

// dropRepeated takes out of a part the statements that an earlier entry has, of the
// same builder with the same payload: they move nothing and are counted nowhere.
// Those that are new are counted as their builders'. Parts have to come in ledger
// order. It returns the indices of the repeated.
func (r *Replay) dropRepeated(p *part) map[uint64]struct{} {
	repeated := map[uint64]struct{}{}
	for _, s := range p.said {
		if _, known := r.statements[s.key]; !known {
			r.statements[s.key] = struct{}{}
			r.hear(heard{s.builder, s.observations, s.receivedAt})
			continue
		}
		repeated[s.index] = struct{}{}
		p.totals.Attestations--
		p.totals.Observations -= s.observations
		p.totals.Failures -= s.failures
	}
	if len(repeated) == 0 {
		return nil
	}
	for i, ops := range p.ops {
		kept := ops[:0]
		for ; len(ops) > 0; ops = ops[opSize:] {
			if _, drop := repeated[opIndex(ops)]; !drop {
				kept = append(kept, ops[:opSize]...)
			}
		}
		p.ops[i] = kept
	}
	return repeated
}

// opIndex returns the index of an encoded op.
func opIndex(data []byte) uint64 { return binary.BigEndian.Uint64(data[20:]) }
