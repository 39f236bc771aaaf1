package index

import (
	"context"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/divergence"
	"repronet/evidence/kinds"
)

// A signer is a builder in whose name a document counts.
type signer struct {
	builder  uint32
	signedAt uint64 // as divergence.Claim has it
}

// openEvidence opens third-party evidence under the keys of this place in the
// ledger.
func (f *fold) openEvidence(ctx context.Context, it *item) {
	e, err := f.keys.Open(ctx, it.kind, it.body, it.receivedAt)
	it.body = nil
	switch {
	case kinds.Malformed(err):
		it.ignored = err.Error()
		return
	case err != nil:
		it.err = err
		return
	}
	it.evidence, it.ignored = e, e.Reason()
	for _, s := range e.Counted() {
		b, ok := f.roster.Builder(s.Builder)
		if !ok {
			continue // its key came from there
		}
		it.signers = append(it.signers, signer{b.Number, s.Time()})
	}
	if it.ignored != "" {
		return
	}
	it.ids = make([]attestation.OutputID, len(e.Rows))
	for i, row := range e.Rows {
		it.ids[i] = attestation.NewOutputID(e.Ecosystem, row.Output)
	}
}

// document folds third-party evidence.
func (f *fold) document(b *batch, it *item, outputs map[attestation.OutputID]*output) {
	e := it.evidence
	note := func(builder, n uint32) {
		b.Documents = append(b.Documents, store.Document{
			Index: it.index, Builder: builder, Outputs: n, ReceivedAt: it.receivedAt, ID: e.ID,
		})
	}
	if it.ignored != "" {
		note(store.NoBuilder, 0)
		return
	}
	rows := uint32(len(e.Rows))
	f.watermark.Attestations++
	f.ecosystem(b, e.Ecosystem)
	for _, s := range it.signers {
		note(s.builder, rows)
		f.heard(b, s.builder, rows, it.receivedAt)
	}
	for i, row := range e.Rows {
		o := outputs[it.ids[i]]
		f.number(b, o, store.OutputName{Ecosystem: e.Ecosystem, Key: row.Output})
		changed := false
		for _, s := range it.signers {
			for _, digest := range row.Digests {
				b.Observations = append(b.Observations, store.Observation{
					Output: o.Output, Index: it.index, Builder: s.builder, Digest: store.Short(digest[:]),
				})
				if it.index < o.Version {
					continue // the state has this entry already
				}
				if !holds(&o.Claims, digest) {
					b.Digests = append(b.Digests, store.Pair{Hash: store.Short(digest[:]), Output: o.Output})
				}
				changed = o.Claims.Add(divergence.Claim{
					Builder: s.builder, Digest: digest, Index: it.index,
					Document: true, SignedAt: s.signedAt, Ambiguous: len(row.Digests) > 1,
				}) || changed
			}
		}
		if changed {
			f.judge(b, o, it.index, it.receivedAt)
		}
	}
}
