package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/api"
	"repronet.dev/evidence"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// Kept is what became of third-party evidence that is in the ledger.
type Kept struct {
	Index     uint64
	Duplicate bool
	State     evidence.State
	Reason    string // why it does not count; empty if it does
}

// SubmitEvidence judges third-party evidence by the keys of the moment and writes
// it to the ledger, byte for byte. Evidence by a key that is not known is kept
// too, and does not count; what no key could ever have signed is refused.
func (b *Batch) SubmitEvidence(ctx context.Context, kind ledger.Kind, body []byte) (*Kept, error) {
	in := b.in
	if err := in.CheckReady(); err != nil {
		return nil, err
	}
	if !reading.IsEvidence(kind) {
		return nil, in.problem(api.ProblemMalformed, fmt.Sprintf("Kind %.40q is none of %s.", kind, reading.Kinds()))
	}
	e, err := b.openEvidence(ctx, kind, body)
	if err == nil && e.Needs > 0 && e.Reason() == "" {
		if err = in.rule(ctx, e.Needs); err == nil {
			e, err = b.openEvidence(ctx, kind, body) // which those rules judge
		}
	}
	if err != nil {
		return nil, err
	}
	kept := &Kept{State: e.State(), Reason: e.Reason()}
	kept.Index, kept.Duplicate, err = in.duplicates.once(ctx, e.Key(), func() (uint64, error) {
		return in.appendEvidence(context.WithoutCancel(ctx), e, body, b.network)
	})
	over, isOver := errors.AsType[*overBudget](err)
	switch {
	case isOver:
		return nil, in.overBudget(over)
	case errors.Is(err, ledger.ErrTooLarge):
		return nil, in.problem(api.ProblemTooLarge, fmt.Sprintf("The document is larger than a ledger entry can hold (%d bytes, compressed).", ledger.MaxEntrySize))
	case err != nil:
		in.complain(ctx, "appending to the ledger", err)
		return nil, in.problem(api.ProblemTryLater, "The ledger did not take the document: send it again later.")
	case kept.Duplicate:
		in.metrics.bundles.WithLabelValues("duplicate").Inc()
	case kept.Reason != "":
		in.metrics.bundles.WithLabelValues("uncounted").Inc()
	default:
		in.metrics.bundles.WithLabelValues("accepted").Inc()
		in.metrics.outputs.Add(float64(len(e.Rows)))
	}
	return kept, nil
}

// appendEvidence writes evidence to the ledger: where an entry cannot hold its text,
// with the text as an attachment, which is durable before the entry.
func (in *Ingest) appendEvidence(ctx context.Context, e *reading.Document, body []byte, network string) (uint64, error) {
	accounts := in.accounts(e, network)
	entry, err := ledger.Pack(e.Kind, body)
	if err == nil || !errors.Is(err, ledger.ErrTooLarge) || in.config.Attach == nil {
		if err != nil {
			return 0, err
		}
		return in.within(accounts, entrySize(entry), func() (uint64, int, error) {
			index, err := in.log.AppendPacked(ctx, entry)
			return index, 0, err
		})
	}
	smaller, text, detachErr := reading.Detach(e.Kind, body)
	if detachErr != nil || text == nil {
		return 0, err
	}
	if entry, err = ledger.Pack(e.Kind, smaller); err != nil {
		return 0, err // before anything is stored that no entry names
	}
	return in.within(accounts, entrySize(entry)+len(text), func() (uint64, int, error) {
		if _, err := in.config.Attach(bytes.NewReader(text)); err != nil {
			return 0, 0, err
		}
		index, err := in.log.AppendPacked(ctx, entry)
		return index, len(text), err // the attachment stays, also where no entry names it
	})
}

func (b *Batch) openEvidence(ctx context.Context, kind ledger.Kind, body []byte) (*reading.Document, error) {
	leave, err := b.checking(ctx, b.network, len(body))
	if err != nil {
		return nil, err
	}
	defer leave()
	in := b.in
	if err := errors.Join(reading.CheckWhole(kind, body), checkFields(kind, body)); err != nil {
		return nil, b.refuse(in.problem(api.ProblemMalformed, err.Error()))
	}
	e, err := in.reader.Document(ctx, kind, body, time.Now())
	refused, malformed := errors.AsType[*reading.Refused](err)
	switch {
	case malformed:
		return nil, b.refuse(in.problem(api.ProblemMalformed, refused.Error()))
	case err != nil:
		in.config.Logger.ErrorContext(ctx, "opening evidence", "error", err)
		return nil, in.problem(api.ProblemTryLater, "The keys cannot be read now: send the document again later.")
	case len(e.Rows) == 0:
		return nil, b.refuse(in.problem(api.ProblemMalformed, "malformed checksum document: no row of it is one that can be read, so it says nothing of any output"))
	case e.State() == evidence.Bad:
		return nil, b.refuse(in.problem(api.ProblemBadSignature, "No signature of the document verifies: "+e.Reason()+"."))
	}
	return e, nil
}

// checkFields reports fields of a narinfo that Nix does not write, and those that are longer
// than it writes them: what is not signed, anybody can add to, and the ledger keeps it.
func checkFields(kind ledger.Kind, body []byte) error {
	if kind != ledger.Narinfo {
		return nil
	}
	return narinfo.CheckFields(body)
}
