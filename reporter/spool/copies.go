package spool

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// CopyAge is for how long a copy is kept of a statement that the ledger has: longer than
// an aggregator's newest backup is old.
const CopyAge = 30 * 24 * time.Hour

// Bounds of all copies together. The oldest go first.
const (
	maxCopies     = 20_000
	maxCopiesSize = 512 << 20 // bytes
)

// A Copy is a statement in sent/, as its file's name tells: the place and the hash of the
// entry that its receipt proved.
type Copy struct {
	Index uint64
	Leaf  tlog.Hash
	file  string
}

// copyName sorts by ledger index.
func copyName(index uint64, leaf tlog.Hash, item *Item) string {
	return fmt.Sprintf("%016x-%s-%s", index, hex.EncodeToString(leaf[:]), item.name())
}

func parseCopy(file string) (Copy, bool) {
	parts := strings.SplitN(file, "-", 3)
	if len(parts) != 3 || len(parts[0]) != 16 || len(parts[1]) != 2*tlog.HashSize {
		return Copy{}, false
	}
	index, err := strconv.ParseUint(parts[0], 16, 64)
	if err != nil {
		return Copy{}, false
	}
	leaf, err := hex.DecodeString(parts[1])
	if err != nil {
		return Copy{}, false
	}
	return Copy{index, tlog.Hash(leaf), file}, true
}

// keepCopies keeps the files of statements that are in the ledger now, by a second name,
// which takes no room. A copy that cannot be kept is no reason to hold a statement back.
func (w *Writer) keepCopies(outcomes []Outcome) {
	for _, o := range outcomes {
		if o.Refusal != "" || o.Leaf == (tlog.Hash{}) {
			continue
		}
		to := filepath.Join(w.dir, sentDir, copyName(o.Index, o.Leaf, o.Item))
		if err := os.Link(filepath.Join(w.dir, outboxDir, o.Item.name()), to); err != nil && !errors.Is(err, fs.ErrExist) {
			w.Report("run", fmt.Sprintf("statement %d is in the ledger, and no copy of it could be kept: %v", o.Item.Sequence, err))
			continue
		}
		now := time.Now()
		_ = os.Chtimes(to, now, now) // else it is kept for a shorter time
	}
	_ = durable.SyncDir(filepath.Join(w.dir, sentDir)) // likewise
}

// Copies returns the copies that are kept, by ledger index.
func (s *Spool) Copies() ([]Copy, error) {
	names, err := s.list(sentDir)
	if err != nil {
		return nil, err
	}
	copies := make([]Copy, 0, len(names))
	for _, name := range names {
		if c, ok := parseCopy(name); ok {
			copies = append(copies, c)
		}
	}
	return copies, nil
}

// SendAgain puts copies of statements that the ledger lost back into the outbox, as they
// were signed, and returns how many, also with an error. Submitting one that the ledger has
// is harmless: the answer is its receipt.
func (w *Writer) SendAgain(copies []Copy) (sent int, err error) {
	err = w.withRoomBut(copies, func() error {
		for _, c := range copies { // of which those are gone that were sent before an error
			again, err := w.sendAgain(c)
			if err != nil {
				return err
			}
			if again {
				sent++
			}
		}
		return nil
	})
	return sent, err
}

func (w *Writer) sendAgain(c Copy) (sent bool, err error) {
	name := strings.SplitN(c.file, "-", 3)[2]
	item, err := w.readItemAs(name, sentDir, c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, w.quarantine(sentDir, c.file, err)
	}
	item.Again = true
	if err := w.writeItem(outboxDir, item); err != nil {
		return false, fmt.Errorf("sending a statement again: %w", err)
	}
	item.Bundle = nil
	w.outbox[name] = item
	return true, w.remove([]string{filepath.Join(sentDir, c.file)})
}

// ExpireCopies deletes copies that are older than [CopyAge], and the oldest of too many.
func (w *Writer) ExpireCopies() error {
	names, err := w.list(sentDir)
	if err != nil {
		return err
	}
	var gone []string
	size := int64(0)
	for i, name := range slices.Backward(names) {
		info, err := os.Lstat(filepath.Join(w.dir, sentDir, name))
		if err != nil {
			continue
		}
		size += info.Size()
		if len(names)-i > maxCopies || size > maxCopiesSize || time.Since(info.ModTime()) > CopyAge {
			gone = append(gone, filepath.Join(sentDir, name))
		}
	}
	return w.remove(gone)
}

// seenFile holds the newest checkpoint of the ledger that was compared with everything
// that is known of it.
const seenFile = "seen"

// Seen returns that checkpoint's text; nil where none is known.
func (s *Spool) Seen() ([]byte, error) {
	text, err := s.read(1<<20, seenFile)
	return text, ignoreMissing(err)
}

// SetSeen keeps a checkpoint's text.
func (w *Writer) SetSeen(text []byte) error {
	return w.withRoom(func() error { return durable.WriteFile(filepath.Join(w.dir, seenFile), text, 0o600) })
}

// ledgerFile says which ledger the copies and the checkpoint are of.
const ledgerFile = "ledger"

// UseLedger says to which ledger statements are submitted from now on, by a name that no
// other has. Copies and a checkpoint of another one are deleted, and what is to be sent again
// because that lost it, since nothing of them may be sent to this one; it reports whether
// there were any. Where an older release did not
// keep of which ledger they are, isOurs tells by the checkpoint.
func (w *Writer) UseLedger(name string, isOurs func(seen []byte) bool) (forgot bool, err error) {
	known, err := w.read(1<<20, ledgerFile)
	if string(known) == name+"\n" || ignoreMissing(err) != nil {
		return false, err
	}
	seen, err := w.Seen()
	if err != nil {
		return false, err
	}
	var gone []string
	if known != nil || seen == nil || !isOurs(seen) {
		if gone, err = w.list(sentDir); err != nil {
			return false, err
		}
		for i := range gone {
			gone[i] = filepath.Join(sentDir, gone[i])
		}
		if seen != nil {
			gone = append(gone, seenFile)
		}
		for name, item := range w.outbox {
			if item.Again {
				gone = append(gone, filepath.Join(outboxDir, name))
			}
		}
	}
	if err := w.remove(gone); err != nil {
		return false, err
	}
	for _, name := range gone {
		delete(w.outbox, filepath.Base(name))
	}
	return len(gone) > 0, w.withRoom(func() error {
		return durable.WriteFile(filepath.Join(w.dir, ledgerFile), []byte(name+"\n"), 0o600)
	})
}

// maxReceipt is how long a line of receipts is that is read, in bytes.
const maxReceipt = 256 << 10

// Receipts yields the receipts that were kept, in the order in which they came, and last
// what kept it from reading all of them, if anything did.
func (s *Spool) Receipts() iter.Seq2[ledger.Inclusion, error] {
	return func(yield func(ledger.Inclusion, error) bool) {
		f, err := os.OpenFile(filepath.Join(s.dir, ReceiptsFile), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(ledger.Inclusion{}, fmt.Errorf("reading receipts: %w", err))
			return
		}
		defer f.Close()
		lines := bufio.NewReaderSize(f, maxReceipt)
		tooLong := false // the line of which this is a part
		for {
			line, err := lines.ReadSlice('\n')
			part := errors.Is(err, bufio.ErrBufferFull)
			var i ledger.Inclusion
			isReceipt := !part && !tooLong && json.Unmarshal(line, &i) == nil // else it is damaged, or empty
			tooLong = part
			if isReceipt && !yield(i, nil) || errors.Is(err, io.EOF) {
				return
			}
			if err != nil && !part {
				yield(ledger.Inclusion{}, fmt.Errorf("reading receipts: %w", err))
				return
			}
		}
	}
}

const convictionsDir = "convictions"

// KeepConviction keeps a proof that the holder of the ledger's key signed two histories,
// and returns its file.
func (w *Writer) KeepConviction(c *ledger.Conviction) (file string, err error) {
	text, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(w.dir, convictionsDir)
	name := time.Now().UTC().Format("20060102T150405.000000000Z") + ".json"
	err = w.withRoom(func() error {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return durable.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o600)
	})
	return filepath.Join(dir, name), err
}

// convictions returns the files of the proofs that were kept.
func (s *Spool) convictions() ([]string, error) {
	names, err := s.list(convictionsDir)
	for i := range names {
		names[i] = filepath.Join(s.dir, convictionsDir, names[i])
	}
	return names, err
}

// SentOutputs returns the digests that statements in sent/ claim of the outputs that are
// asked for, by their keys. Copies that cannot be read are passed over.
func (s *Spool) SentOutputs(ctx context.Context, asked map[string]bool) (map[string][]attestation.Digest, error) {
	copies, err := s.Copies()
	if err != nil {
		return nil, err
	}
	found := map[string][]attestation.Digest{}
	for _, c := range copies {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		statement := s.sentStatement(c)
		if statement == nil || statement.Type != attestation.Rebuild {
			continue
		}
		for _, subject := range statement.Subjects {
			if asked[subject.Name] && !slices.Contains(found[subject.Name], subject.Digest) {
				found[subject.Name] = append(found[subject.Name], subject.Digest)
			}
		}
	}
	return found, nil
}

// sentStatement returns the statement of a copy; nil if it cannot be read.
func (s *Spool) sentStatement(c Copy) *attestation.Statement {
	data, err := os.ReadFile(filepath.Join(s.dir, sentDir, c.file))
	if err != nil {
		return nil
	}
	var item Item
	if err := json.Unmarshal(data, &item); err != nil {
		return nil
	}
	bundle, err := signing.ParseBundle(item.Bundle)
	if err != nil {
		return nil
	}
	statement, err := attestation.Parse(bundle.Payload)
	if err != nil {
		return nil
	}
	return statement
}
