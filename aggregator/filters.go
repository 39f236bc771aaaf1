package aggregator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
)

// filters keep the filters of the newest revisions of package sets. Every reporter asks
// for them again and again, so each is made once.
//
// They are kept as they are sent: prefixes of hashes, which no compression makes smaller.
type filters struct {
	attachments *ledger.Attachments
	making      chan struct{} // holds a value while a filter is made: one at a time

	mu   sync.Mutex            // guards what follows
	kept map[string]keptFilter // by the set's name
	size int                   // of all that are kept, in bytes
}

type keptFilter struct {
	sum   attestation.Digest // of the attachment that it was made from
	bytes []byte
}

const (
	// filtersKept bounds the filters that are kept, in bytes: of five million outputs.
	filtersKept = 64 << 20
	// filterTime bounds the making of a filter: of a million outputs it takes seconds.
	filterTime = time.Minute
)

func newFilters(attachments *ledger.Attachments) *filters {
	return &filters{attachments: attachments, making: make(chan struct{}, 1), kept: map[string]keptFilter{}}
}

// get returns the filter of a revision of a set. Those who ask while it is made wait
// for it; it is made to its end although they leave, for those who come next.
func (f *filters) get(ctx context.Context, set *pkgset.Entry) ([]byte, error) {
	if filter, ok := f.known(set); ok {
		return filter, nil
	}
	select {
	case f.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-f.making }()
	if filter, ok := f.known(set); ok {
		return filter, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), filterTime)
	defer cancel()
	filter, err := f.make(ctx, set)
	if err == nil {
		f.keep(set, filter)
	}
	return filter, err
}

// known returns a filter that was made before, unless its set was erased since.
func (f *filters) known(set *pkgset.Entry) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, ok := f.kept[set.Name]
	if ok && f.attachments.Erased(ledger.AttachmentID(kept.sum)) {
		f.forget(set.Name)
		ok = false
	}
	return kept.bytes, ok && kept.sum == set.SHA256
}

// keep keeps a filter in the place of that of an earlier revision.
func (f *filters) keep(set *pkgset.Entry, filter []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(set.Name)
	for name := range f.kept { // any: one that is asked for again is made again
		if f.size+len(filter) <= filtersKept {
			break
		}
		f.forget(name)
	}
	f.kept[set.Name] = keptFilter{set.SHA256, filter}
	f.size += len(filter)
}

func (f *filters) forget(name string) {
	f.size -= len(f.kept[name].bytes)
	delete(f.kept, name)
}

// make reads the set, which need not fit into memory.
func (f *filters) make(ctx context.Context, set *pkgset.Entry) (filter []byte, err error) {
	attachment, err := f.attachments.Open(ledger.AttachmentID(set.SHA256))
	if err != nil {
		return nil, fmt.Errorf("making the filter of package set %s: %w", set.Name, err)
	}
	defer attachment.Close()
	hash := sha256.New()
	filter, counted, err := pkgset.ReadFilter(set.Ecosystem, io.TeeReader(untilDone{ctx, attachment}, hash))
	switch {
	case err != nil:
	case !bytes.Equal(hash.Sum(nil), set.SHA256[:]):
		err = fmt.Errorf("%w: attachment %s has other bytes than its name says", ledger.ErrInvalid, set.SHA256)
	case counted != set.Members:
		err = fmt.Errorf("the entry says %d members, the attachment has %d", set.Members, counted)
	}
	if err != nil {
		return nil, fmt.Errorf("making the filter of package set %s: %w", set.Name, err)
	}
	return filter, nil
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx context.Context //nolint:containedctx // of the one call that reads
	of  io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.of.Read(p)
}
