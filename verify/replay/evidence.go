package replay

import (
	"context"

	"repronet/attestation"
	"repronet/evidence/kinds"
	"repronet/ledger"
)

// evidence takes in what a third party's document says in the names of those
// whose signatures count.
func (r *Replay) evidence(ctx context.Context, p *part, index uint64, e *ledger.Entry) error {
	opened, err := r.keys.Open(ctx, e.Kind, e.Body, e.ReceivedAt)
	switch {
	case kinds.Malformed(err):
		return nil
	case err != nil:
		return err
	case opened.Reason() != "":
		return nil
	}
	p.totals.Attestations++
	for _, signer := range opened.Counted() {
		builder, ok := r.roster.Builder(signer.Builder)
		if !ok {
			continue // its key came from there
		}
		p.heard = append(p.heard, heard{builder.Number, uint64(len(opened.Rows)), e.ReceivedAt})
		p.totals.Observations += uint64(len(opened.Rows))
		for _, row := range opened.Rows {
			o := op{
				id: attestation.NewOutputID(opened.Ecosystem, row.Output), index: index, kind: addDocument,
				builder: builder.Number, signedAt: signer.Time(),
			}
			if len(row.Digests) > 1 {
				o.kind = addAmbiguous
			}
			for _, o.digest = range row.Digests {
				p.add(&o)
			}
		}
	}
	return nil
}
