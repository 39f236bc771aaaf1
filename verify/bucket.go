package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
)

// ErrTelling is what [Light.Evidence] wraps if an output cannot be asked for without telling
// which: the aggregator does not know how, or the bucket has too much in it. It is never
// asked for by its name instead.
var ErrTelling = errors.New("it cannot be asked for without telling the aggregator which output is meant")

// defaultBits is how many bits of an ID name a bucket: a twenty-bit bucket of a million
// outputs has one, which is little to fetch.
const defaultBits = 20

// maxBucketEntries bounds the entries that are fetched for a bucket.
const maxBucketEntries = 20_000

// prefix returns the bucket of an ID.
func (l *Light) prefix(id attestation.OutputID) (attestation.Prefix, error) {
	bits := l.Bits
	if bits == 0 {
		bits = defaultBits
	}
	if bits%4 != 0 || bits/4 < attestation.MinPrefix || bits/4 > attestation.MaxPrefix {
		return "", fmt.Errorf("%d bits name no bucket: want 12, 16 or 20", bits)
	}
	return id.Prefix(bits / 4), nil
}

// findBucket asks for all outputs of the one's bucket.
func (l *Light) findBucket(ctx context.Context, output Output) (*found, *ledger.Tree, error) {
	prefix, err := l.prefix(attestation.NewOutputID(output.Ecosystem, output.Key))
	if err != nil {
		return nil, nil, err
	}
	key, err := l.Pins.Verifier()
	if err != nil {
		return nil, nil, err
	}
	answer, err := l.Aggregator.api.MapBucket(ctx, prefix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A log that is not to be believed is not for want of a map.
		if _, _, err := l.newest(ctx, key); err != nil {
			return nil, nil, err
		}
		return nil, nil, fmt.Errorf("%w: the aggregator has no map yet, or is too old: %w", ErrTelling, err)
	case err != nil:
		return nil, nil, err
	case answer.Receipt == nil:
		return nil, nil, errNoReceipt
	}
	reader, latest, err := l.newest(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	tree := reader.Tree(latest)
	root, err := l.root(ctx, tree, latest, answer.Receipt)
	if err != nil {
		return nil, nil, err
	}
	if err := l.remember(ctx, reader, latest); err != nil {
		return nil, nil, err
	}
	f, err := foundIn(root, answer.Bucket, prefix)
	if err != nil {
		return nil, nil, err
	}
	if f.changes, err = listed(root, answer.Roster, outputmap.RosterKey()); err != nil {
		return nil, nil, err
	}
	if err := f.tail(ctx, tree, root.Size, prefix.Has); err != nil {
		return nil, nil, err
	}
	return f, tree, f.checkSize()
}

// foundIn returns the entries that a bucket shows to be all about its outputs.
func foundIn(root outputmap.Root, text []byte, prefix attestation.Prefix) (*found, error) {
	bucket, err := outputmap.ParseBucket(text)
	if err != nil {
		return nil, err
	}
	leaves, err := bucket.Verify(root, prefix)
	if err != nil {
		return nil, err
	}
	f := &found{entries: make(map[attestation.OutputID][]uint64, len(leaves))}
	for _, leaf := range leaves {
		f.entries[leaf.Key] = leaf.Entries
	}
	return f, nil
}

func (f *found) checkSize() error {
	n := 0
	for _, entries := range f.entries {
		n += len(entries)
	}
	if n > maxBucketEntries {
		return fmt.Errorf("%w: %d entries are about the outputs of its bucket, and at most %d are fetched", ErrTelling, n, maxBucketEntries)
	}
	return nil
}
