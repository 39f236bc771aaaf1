package reading

import (
	"iter"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// Erasures returns the attachments that entries among the records erased.
func Erasures(records iter.Seq2[ledger.Record, error]) ([]attestation.Digest, error) {
	var sums []attestation.Digest
	for record, err := range records {
		if err != nil {
			return nil, err
		}
		if record.Kind() != ledger.Erased {
			continue
		}
		entry, err := record.Entry()
		if err != nil {
			return nil, err
		}
		if e, ok := As[*Erasure](record.Index, entry); ok {
			sums = append(sums, e.Attachment)
		}
	}
	return sums, nil
}
