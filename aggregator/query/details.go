package query

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet/attestation"
	"repronet/evidence/kinds"
	"repronet/ledger"
	"repronet/signing"
)

// maxDetails is how many entries are kept decoded, and how many of them are read
// for one page.
const (
	maxDetails     = 512
	maxPageDetails = 128
)

// A detail is what an attestation, or a document, says beyond the index.
type detail struct {
	receivedAt time.Time
	evidence   *kinds.Evidence        // of a document
	statement  *attestation.Statement // of an attestation
	// build is the number of the build that made a subject.
	build map[string]int
}

// of returns the build that made an output, or failed.
func (d *detail) of(name string) *attestation.Build {
	if i, ok := d.build[name]; ok {
		return &d.statement.Builds[i]
	}
	return nil
}

// digestKind says what the digests are of.
func (d *detail) digestKind() attestation.DigestKind {
	if d.evidence != nil {
		return d.evidence.DigestKind
	}
	return d.statement.DigestKind
}

// signer returns a builder's latest signature of a document, nil if there is
// none.
func (d *detail) signer(id signing.BuilderID) *kinds.Signer {
	if d.evidence == nil {
		return nil
	}
	var latest *kinds.Signer
	for i, s := range d.evidence.Signers {
		if s.Builder == id && (latest == nil || s.SignedAt.After(latest.SignedAt)) {
			latest = &d.evidence.Signers[i]
		}
	}
	return latest
}

// read returns the details of the entries, as many as a page may have of the
// last ones.
func (q *Query) read(ctx context.Context, indices []uint64) (map[uint64]*detail, error) {
	indices = indices[max(0, len(indices)-maxPageDetails):]
	found := make(map[uint64]*detail, len(indices))
	results := make([]*detail, len(indices))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, index := range indices {
		group.Go(func() (err error) {
			results[i], err = q.detail(ctx, index)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, index := range indices {
		found[index] = results[i]
	}
	return found, nil
}

func (q *Query) detail(ctx context.Context, index uint64) (*detail, error) {
	q.mu.Lock()
	d, ok := q.details[index]
	q.mu.Unlock()
	if ok {
		return d, nil
	}
	entry, err := q.ledger.Entry(ctx, index)
	if err != nil {
		return nil, fmt.Errorf("reading ledger entry %d: %w", index, err)
	}
	if slices.Contains(kinds.Kinds(), entry.Kind) {
		d = &detail{receivedAt: entry.ReceivedAt}
		d.evidence, err = q.keys.Open(ctx, entry.Kind, entry.Body, entry.ReceivedAt)
	} else {
		d, err = q.decode(entry)
	}
	if err != nil {
		return nil, fmt.Errorf("reading ledger entry %d: %w", index, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for other := range q.details {
		if len(q.details) < maxDetails {
			break
		}
		delete(q.details, other) // whichever comes: pages show a few entries again and again
	}
	q.details[index] = d
	return d, nil
}

// decode opens an attestation under whatever key the roster has for its
// builder now: that it was valid then, the index has checked.
func (q *Query) decode(entry *ledger.Entry) (*detail, error) {
	statement, err := q.statement(entry)
	if err != nil {
		return nil, err
	}
	d := &detail{receivedAt: entry.ReceivedAt, statement: statement, build: map[string]int{}}
	for i, b := range d.statement.Builds {
		for _, subject := range b.Outputs {
			d.build[d.statement.Subjects[subject].Name] = i
		}
	}
	return d, nil
}

func (q *Query) statement(entry *ledger.Entry) (*attestation.Statement, error) {
	// The rule that a keyless builder had then may be another's now.
	builder, statement, err := signing.PeekStatement(entry.Body)
	if err != nil || builder == "" {
		return statement, err
	}
	roster := q.index.Roster()
	v, err := signing.Open(entry.Body, func(id signing.BuilderID) (signing.Key, error) {
		b, ok := roster.Builder(id)
		if !ok {
			return signing.Key{}, signing.ErrUnknownBuilder
		}
		return signing.Key{PublicKey: b.Key.PublicKey}, nil
	}, entry.ReceivedAt)
	if err != nil {
		return nil, err
	}
	return v.Statement(), nil
}
