package query

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// How many entries are kept decoded, and how many are read for one page, beside
// one for each output.
const (
	maxDetails     = 512
	maxPageDetails = 128
)

// A detail is what an attestation, or a document, says beyond the index.
type detail struct {
	receivedAt time.Time
	evidence   *reading.Document      // of a document
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
func (d *detail) signer(id signing.BuilderID) *reading.Signer {
	if d.evidence == nil {
		return nil
	}
	var latest *reading.Signer
	for i, s := range d.evidence.Signers {
		if s.Builder == id && (latest == nil || s.SignedAt.After(latest.SignedAt)) {
			latest = &d.evidence.Signers[i]
		}
	}
	return latest
}

// read returns the details of some entries.
func (q *Query) read(ctx context.Context, indices []uint64) (map[uint64]*detail, error) {
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
	if d, err = q.open(ctx, index, entry); err != nil {
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

// open opens an attestation or a document that the index has.
func (q *Query) open(ctx context.Context, index uint64, entry *ledger.Entry) (*detail, error) {
	if entry.Kind.IsStatement() {
		named, err := reading.Peek(index, entry)
		if err != nil {
			return nil, err
		}
		if named.Builder == "" { // the rule that a keyless builder had then may be another's now
			return newDetail(entry, named.Statement), nil
		}
	}
	said, err := q.reader.Read(ctx, index, entry)
	if err != nil {
		return nil, err
	}
	switch said := said.(type) {
	case *reading.Statement:
		return newDetail(entry, said.Statement), nil
	case *reading.Document:
		return &detail{receivedAt: entry.ReceivedAt, evidence: said}, nil
	case *reading.Refused:
		return nil, said
	default:
		return nil, fmt.Errorf("an entry of kind %q says nothing of outputs", entry.Kind)
	}
}

func newDetail(entry *ledger.Entry, statement *attestation.Statement) *detail {
	d := &detail{receivedAt: entry.ReceivedAt, statement: statement, build: map[string]int{}}
	for i, b := range statement.Builds {
		for _, subject := range b.Outputs {
			d.build[statement.Subjects[subject].Name] = i
		}
	}
	return d
}
