package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"repronet.dev/internal/durable"
)

// MaxAttachmentSize bounds an attachment in bytes.
const MaxAttachmentSize = 64 << 20

// An AttachmentID is the SHA-256 of an attachment's bytes: what entries name it
// by.
type AttachmentID [sha256.Size]byte

// path is where an attachment is, beside the log's tiles.
func (id AttachmentID) path() string { return "attachments/sha256/" + hex.EncodeToString(id[:]) }

// ErrErased says that an entry of kind [Erased] took the attachment away. For
// whoever reads the ledger it was never there.
var ErrErased = errors.New("it was erased")

// Attachments is a directory of attachments: the log's own, or a mirror's. It may
// be used from several goroutines.
type Attachments struct {
	dir string

	mu     sync.RWMutex // held for reading while an attachment is put in its place
	erased map[AttachmentID]struct{}
}

// OpenAttachments returns the attachments in a log's directory, which it makes
// if it is not there.
func OpenAttachments(logDir string) (*Attachments, error) {
	if err := durable.MkdirAll(filepath.Join(logDir, "attachments", "sha256"), 0o755); err != nil {
		return nil, fmt.Errorf("opening attachments: %w", err)
	}
	return &Attachments{dir: logDir, erased: map[AttachmentID]struct{}{}}, nil
}

// Erase removes an attachment, if it is there, and refuses its bytes from then on.
// The entry that says so has to be durable already. Who opens the directory again
// erases again whatever the ledger's entries say.
func (a *Attachments) Erase(id AttachmentID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.erased[id] = struct{}{}
	if err := durable.Remove(filepath.Join(a.dir, id.path())); err != nil {
		return fmt.Errorf("erasing attachment: %w", err)
	}
	return nil
}

// Erased reports whether [Attachments.Erase] was called for an attachment.
func (a *Attachments) Erased(id AttachmentID) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, erased := a.erased[id]
	return erased
}

// Put stores what it reads. When it returns, the attachment is on disk. Putting
// the same bytes again changes nothing. Bytes that were erased are refused with an
// error that wraps [ErrErased].
func (a *Attachments) Put(content io.Reader) (id AttachmentID, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("storing attachment: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Join(a.dir, "attachments"), ".tmp-*")
	if err != nil {
		return id, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(content, MaxAttachmentSize+1))
	if err == nil && n > MaxAttachmentSize {
		err = fmt.Errorf("larger than the %d bytes that one can have", MaxAttachmentSize)
	}
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return id, err
	}
	hash.Sum(id[:0])
	a.mu.RLock()
	defer a.mu.RUnlock()
	if _, erased := a.erased[id]; erased {
		return id, fmt.Errorf("%x: %w: these bytes may not be stored again", id, ErrErased)
	}
	return id, durable.Rename(f.Name(), filepath.Join(a.dir, id.path()))
}

// Get returns an attachment whose bytes have the hash. One that is not there
// gives an error that wraps fs.ErrNotExist, one that was erased [ErrErased].
func (a *Attachments) Get(ctx context.Context, id AttachmentID) ([]byte, error) {
	if a.Erased(id) {
		return nil, fmt.Errorf("attachment %x: %w", id, ErrErased)
	}
	return FetchAttachment(ctx, Dir(a.dir), id)
}

// Open opens an attachment that is read in pieces. Its errors are those of
// [Attachments.Get]. That the bytes have the hash is not checked.
func (a *Attachments) Open(id AttachmentID) (io.ReadCloser, error) {
	if a.Erased(id) {
		return nil, fmt.Errorf("attachment %x: %w", id, ErrErased)
	}
	return os.Open(filepath.Join(a.dir, id.path()))
}

// FetchAttachment gets an attachment of a log and checks its hash.
func FetchAttachment(ctx context.Context, fetch Fetcher, id AttachmentID) ([]byte, error) {
	data, err := read(ctx, fetch, id.path(), MaxAttachmentSize)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(data) != id {
		return nil, fmt.Errorf("%w: %s does not have the hash that names it", ErrInvalid, id.path())
	}
	return data, nil
}
