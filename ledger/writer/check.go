package writer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
)

// A Remedy is what takes a finding away.
type Remedy string

// The remedies.
const (
	// Repairable follows from what is there: [Repair] makes it.
	Repairable Remedy = "repair"
	// Copyable can only come from a copy of the log.
	Copyable Remedy = "copy"
)

// A Finding is a file that is not as it must be.
type Finding struct {
	Path   string `json:"path"` // in the log's directory
	What   string `json:"what"`
	Remedy Remedy `json:"remedy"`
}

// A Report is what [Check] found.
type Report struct {
	// Entries is how many entries were checked, Checkpoint how many of them are
	// published.
	Entries    uint64    `json:"entries"`
	Checkpoint uint64    `json:"checkpoint"`
	Root       tlog.Hash `json:"root"`
	// Attachments is how many were checked.
	Attachments int `json:"attachments"`
	// Running says that a server writes the log: only what is published was checked.
	Running  bool      `json:"running"`
	Findings []Finding `json:"findings"`
}

// Worst is the remedy that all findings together need; "" if there are none.
func (r *Report) Worst() (worst Remedy) {
	for _, f := range r.Findings {
		if worst != Copyable {
			worst = f.Remedy
		}
	}
	return worst
}

// Progress tells how much of some work is done. One goroutine calls it.
type Progress func(work string, done, total uint64)

// Check reads every file of a log: it verifies the checkpoint's signature, each
// entry and each tile against it, and each attachment against its name. It changes
// nothing, and may run beside a server. An error is of reading; what is wrong with
// the log is in the report.
func Check(ctx context.Context, dir string, key *Key, progress Progress) (*Report, error) {
	c := &check{recovery: recovery{disk: disk{dir}, key: key}, progress: progress, report: &Report{Findings: []Finding{}}}
	if progress == nil {
		c.progress = func(string, uint64, uint64) {}
	}
	lock, err := lockExisting(dir)
	switch {
	case errors.Is(err, ErrLocked):
		c.report.Running = true
	case err != nil:
		return nil, fmt.Errorf("checking the ledger: %w", err)
	default:
		defer lock.Close()
	}
	if err := errors.Join(c.tree(ctx), c.attachments(ctx)); err != nil {
		return nil, fmt.Errorf("checking the ledger in %s: %w", dir, err)
	}
	return c.report, nil
}

// lockExisting takes the lock of a log that is there, if it has one.
func lockExisting(dir string) (*os.File, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return os.Open(dir)
	}
	if err != nil {
		return nil, err
	}
	return flocked(f)
}

type check struct {
	recovery
	progress Progress
	report   *Report
}

func (c *check) found(path, what string, remedy Remedy) {
	c.report.Findings = append(c.report.Findings, Finding{path, what, remedy})
}

// tree checks the checkpoint, the state, the entries and the tiles.
func (c *check) tree(ctx context.Context) error {
	var damage *DamageError
	if err := c.readCheckpoint(); errors.As(err, &damage) && damage.Do == doRepair {
		c.found(damage.Path, damage.Why, Repairable)
	} else if err != nil {
		return err
	}
	var err error
	if c.state, err = c.readState(); err != nil {
		return err
	}
	if c.checkpoint != nil {
		c.report.Checkpoint = c.checkpoint.Size
		if err := c.scan(ctx, Tree{c.checkpoint.Size, c.checkpoint.Root, "the checkpoint"}); err != nil {
			return err
		}
	}
	if c.report.Running {
		return nil
	}
	switch {
	case c.state == nil && c.checkpoint == nil:
		c.found(checkpointFile, "it is not there, nor is "+stateFile+": what the ledger has is not known", Copyable)
	case c.state == nil:
		c.found(stateFile, "it is lost: the entries that no checkpoint covers yet are looked for at the next start", Repairable)
	case c.checkpoint != nil && c.state.Size < c.checkpoint.Size:
		c.found(stateFile, fmt.Sprintf("it is of %d entries, and %d are published", c.state.Size, c.checkpoint.Size), Repairable)
	case c.checkpoint == nil || c.state.Size > c.checkpoint.Size || tlog.Hash(c.state.Root) != c.checkpoint.Root:
		return c.scan(ctx, Tree{c.state.Size, tlog.Hash(c.state.Root), "the writer's state"})
	}
	return nil
}

// scan compares all files with a tree.
func (c *check) scan(ctx context.Context, t Tree) error {
	s := &scan{disk: c.disk, size: t.Size, root: t.Root, progress: func(n uint64) { c.progress("checking entries", n, t.Size) }}
	proven, err := s.run(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range c.report.Findings {
		known[f.Path] = true
	}
	for _, b := range s.bundles {
		if !known[b.path] {
			c.found(b.path, b.what, Copyable)
		}
	}
	for _, b := range s.tiles {
		if !known[b.path] {
			c.found(b.path, b.what, Repairable)
		}
	}
	if !proven && len(s.bundles) == 0 {
		c.found(checkpointFile, fmt.Sprintf("the %d entries here are another history than %s, whose root is %s", t.Size, t.Source, t.Root), Copyable)
	}
	c.report.Entries, c.report.Root = t.Size, t.Root
	return nil
}

// attachments checks that each attachment has the hash that names it.
func (c *check) attachments(ctx context.Context) error {
	names, err := os.ReadDir(c.path(attachmentsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.progress("checking attachments", uint64(i), uint64(len(names)))
		if strings.HasPrefix(name.Name(), ".") {
			continue
		}
		path := attachmentsDir + "/" + name.Name()
		sum, err := c.sum(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was erased meanwhile
		}
		if err != nil {
			return err
		}
		if c.report.Attachments++; sum != name.Name() {
			c.found(path, "it does not have the hash that names it", Copyable)
		}
	}
	return nil
}

const attachmentsDir = "attachments/sha256"

func (d disk) sum(name string) (string, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, io.LimitReader(f, ledger.MaxAttachmentSize+1))
	return hex.EncodeToString(hash.Sum(nil)), errors.Join(err, f.Close())
}
