package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint is a signed state of the log (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string    // the log's name, which its key carries too
	Size   uint64    // number of entries, at most 2^62
	Root   tlog.Hash // RFC 6962 Merkle tree hash
	Text   []byte    // the signed note, as it came
}

// ErrInvalid is wrapped by every error that says that the log itself is wrong: a
// checkpoint that its key did not sign, tiles or entries that the checkpoint's
// tree does not contain, resources that the checkpoint promises and that are not
// there. Other errors of reading are trouble on the way.
var ErrInvalid = errors.New("invalid log")

// maxCheckpointSize leaves room for the cosignatures of many witnesses.
const maxCheckpointSize = 64 << 10

// OpenCheckpoint checks a signed note under the log's key and reads it. The
// origin must be the key's name.
func OpenCheckpoint(text []byte, log note.Verifier) (*Checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(log))
	if err != nil {
		return nil, fmt.Errorf("%w: checkpoint: %w", ErrInvalid, err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return nil, fmt.Errorf("%w: checkpoint: %w", ErrInvalid, err)
	}
	if c.Origin != log.Name() {
		return nil, fmt.Errorf("%w: the checkpoint is of the log %.100q, not %q", ErrInvalid, c.Origin, log.Name())
	}
	c.Text = text
	return c, nil
}

// tree is the tree that the checkpoint commits to.
func (c *Checkpoint) tree() tlog.Tree {
	return tlog.Tree{N: int64(c.Size), Hash: c.Root}
}

func parseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return nil, errors.New("fewer than three lines")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > math.MaxInt64/2 || strconv.FormatUint(size, 10) != lines[1] {
		return nil, fmt.Errorf("%.40q is not a tree's size", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return nil, fmt.Errorf("%.60q is not a root hash", lines[2])
	}
	return &Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}, nil
}
