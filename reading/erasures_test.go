package reading_test

import (
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// TestErasures: of a ledger's records only those of erasures are opened.
func TestErasures(t *testing.T) {
	one, two := attestation.Digest{1}, attestation.Digest{2}
	var records []ledger.Record
	add := func(kind ledger.Kind, body []byte) {
		data, err := (&ledger.Entry{Kind: kind, ReceivedAt: time.UnixMilli(1), Body: body}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, ledger.Record{Index: uint64(len(records)), Data: data})
	}
	erase := func(sum attestation.Digest) []byte {
		body, err := (&enrolment.Erasure{Attachment: sum}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	add(ledger.Attestation, []byte("anything"))
	add(ledger.Erased, erase(one))
	add(ledger.Erased, []byte("nonsense"))
	add("erased-not", erase(attestation.Digest{9}))
	add(ledger.Erased, erase(two))
	records = append(records, ledger.Record{Data: []byte{1}}, ledger.Record{Data: []byte{1, 200, 'e'}})
	all := func(failure error) iter.Seq2[ledger.Record, error] {
		return func(yield func(ledger.Record, error) bool) {
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if failure != nil {
				yield(ledger.Record{}, failure)
			}
		}
	}
	got, err := reading.Erasures(all(nil))
	if diff := cmp.Diff([]attestation.Digest{one, two}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	broken := errors.New("broken")
	if _, err := reading.Erasures(all(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
