package aggregator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"repronet/aggregator/admin"
	"repronet/attestation"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/pkgset"
	"repronet/signing"
)

var _ admin.Service = (*Aggregator)(nil)

// SocketPath is where the server of a data directory takes administrative
// commands.
func SocketPath(data string) string { return filepath.Join(data, "admin.sock") }

// Enrol implements [admin.Service].
func (a *Aggregator) Enrol(ctx context.Context, e *enrolment.Enrolment) (uint64, error) {
	return a.ingest.Enrol(ctx, e)
}

// Attach implements [admin.Service].
func (a *Aggregator) Attach(_ context.Context, content io.Reader) (attestation.Digest, error) {
	id, err := a.ledger.attachments.Put(content)
	return attestation.Digest(id), err
}

// Revoke implements [admin.Service].
func (a *Aggregator) Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (uint64, error) {
	return a.ingest.Revoke(ctx, builder, from, reason)
}

// Builders implements [admin.Service].
func (a *Aggregator) Builders(context.Context) ([]wire.Builder, error) {
	builders := a.roster.Published()
	for i := range builders {
		a.markErased(&builders[i])
	}
	return builders, nil
}

// markErased marks the certificates that were erased.
func (a *Aggregator) markErased(b *wire.Builder) {
	for i, c := range b.OpenPGP {
		if sum, err := attestation.ParseDigest(c.Certificate); err == nil {
			b.OpenPGP[i].Erased = a.ledger.attachments.Erased(ledger.AttachmentID(sum))
		}
	}
}

// PublishSet implements [admin.Service]. The members are durable as an
// attachment before the entry that names them.
func (a *Aggregator) PublishSet(ctx context.Context, set admin.Set, from io.Reader) (admin.Published, error) {
	list, err := pkgset.Parse(set.Ecosystem, from)
	if err != nil {
		return admin.Published{}, err
	}
	if len(list.Members) == 0 {
		return admin.Published{}, errors.New("the list names no outputs")
	}
	attachment, err := pkgset.Encode(set.Ecosystem, list.Members)
	if err != nil {
		return admin.Published{}, err
	}
	entry := pkgset.Entry{
		Name: set.Name, Revision: set.Revision, Ecosystem: set.Ecosystem,
		Members: pkgset.Count(list.Members), SHA256: sha256.Sum256(attachment),
	}
	body, err := entry.Encode()
	if err != nil {
		return admin.Published{}, err
	}
	if _, err := a.ledger.attachments.Put(bytes.NewReader(attachment)); err != nil {
		return admin.Published{}, fmt.Errorf("storing the set's members: %w", err)
	}
	at, err := a.ingest.PublishSet(ctx, body)
	if err != nil {
		return admin.Published{}, fmt.Errorf("writing the set to the ledger: %w", err)
	}
	return admin.Published{Index: at, Members: entry.Members, Failed: list.Failed}, nil
}

// Reindex implements [admin.Service].
func (a *Aggregator) Reindex(ctx context.Context, progress io.Writer) error {
	fmt.Fprintf(progress, "reindexing %d ledger entries\n", a.log.Size())
	if err := a.index.Reindex(ctx); err != nil {
		return err
	}
	fmt.Fprintln(progress, "the new index is in use")
	return nil
}
