package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// An Inclusion is a [Receipt] without the entry: the proof that a signed
// checkpoint's tree has a leaf at an index.
type Inclusion struct {
	Index      uint64      `json:"index"`
	Leaf       tlog.Hash   `json:"leaf"`  // RFC 6962 leaf hash; base 64 in JSON
	Proof      []tlog.Hash `json:"proof"` // RFC 6962 audit path, leaf to root
	Checkpoint string      `json:"checkpoint"`
}

// Inclusion returns what remains of a receipt when the entry is forgotten.
func (r *Receipt) Inclusion() *Inclusion {
	return &Inclusion{r.Index, tlog.RecordHash(r.Entry), r.Proof, r.Checkpoint}
}

// Verify checks the checkpoint's signature under the log's key and the proof, and
// returns the checkpoint.
func (i *Inclusion) Verify(log note.Verifier) (*Checkpoint, error) {
	c, err := OpenCheckpoint([]byte(i.Checkpoint), log)
	if err != nil {
		return nil, fmt.Errorf("verifying inclusion: %w", err)
	}
	if i.Index >= c.Size {
		return nil, fmt.Errorf("verifying inclusion: %w: index %d is not in a tree of %d entries", ErrInvalid, i.Index, c.Size)
	}
	if err := tlog.CheckRecord(i.Proof, int64(c.Size), c.Root, int64(i.Index), i.Leaf); err != nil {
		return nil, fmt.Errorf("verifying inclusion: %w: entry %d is not in the tree of %d entries: %w", ErrInvalid, i.Index, c.Size, err)
	}
	return c, nil
}

// A Conviction proves to anybody that the holder of a log's key signed two
// histories: either two trees of which the greater does not begin with the smaller
// one (Fork), or two trees with different leaves at one index (Entries). It has
// exactly one of the two. Nothing but the log's key is needed to check it, and no
// software of this project: see docs/checking.md.
type Conviction struct {
	Fork    *Fork         `json:"fork,omitempty"`
	Entries *[2]Inclusion `json:"entries,omitempty"`
}

// A Fork is two signed checkpoints, and the proof (RFC 6962 consistency, as
// tlog.CheckTree takes it) that the greater one's tree has the root Root at the
// size of the smaller one, which was signed with another. For two checkpoints of
// one size there is no proof: the roots differ.
type Fork struct {
	Old   string      `json:"old"`
	New   string      `json:"new"`
	Root  tlog.Hash   `json:"root"`
	Proof []tlog.Hash `json:"proof"`
}

// ErrNotConvicting is wrapped by the errors of [Conviction.Verify].
var ErrNotConvicting = errors.New("this does not convict the log")

// Verify checks the proof under the log's key.
func (c *Conviction) Verify(log note.Verifier) (err error) {
	switch {
	case (c.Fork == nil) == (c.Entries == nil):
		err = errors.New("want exactly one of fork and entries")
	case c.Fork != nil:
		err = c.Fork.verify(log)
	default:
		err = verifyEntries(c.Entries, log)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotConvicting, err)
	}
	return nil
}

func (f *Fork) verify(log note.Verifier) error {
	before, err := OpenCheckpoint([]byte(f.Old), log)
	if err != nil {
		return err
	}
	after, err := OpenCheckpoint([]byte(f.New), log)
	if err != nil {
		return err
	}
	switch {
	case before.Size > after.Size:
		return fmt.Errorf("old has %d entries, new %d", before.Size, after.Size)
	case before.Size == after.Size && f.Root != after.Root:
		return errors.New("the root is not that of new")
	case before.Size < after.Size:
		if before.Size == 0 {
			return errors.New("every log begins with nothing")
		}
		if err := tlog.CheckTree(f.Proof, int64(after.Size), after.Root, int64(before.Size), f.Root); err != nil {
			return fmt.Errorf("new is not shown to have the root %s at %d entries: %w", f.Root, before.Size, err)
		}
	}
	if f.Root == before.Root {
		return errors.New("new continues old")
	}
	return nil
}

func verifyEntries(entries *[2]Inclusion, log note.Verifier) error {
	for i := range entries {
		if _, err := entries[i].Verify(log); err != nil {
			return err
		}
	}
	if entries[0].Index != entries[1].Index {
		return fmt.Errorf("the entries are at %d and %d", entries[0].Index, entries[1].Index)
	}
	if entries[0].Leaf == entries[1].Leaf {
		return errors.New("the entries are the same")
	}
	return nil
}
