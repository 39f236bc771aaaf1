package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
)

// A Tree is a state of the log that is known from elsewhere.
type Tree struct {
	Size uint64
	Root tlog.Hash
	// Source says in a message what knows it, like "the index".
	Source string
}

// A DamageError is why a log is not written: its files are not one history, or not
// all of it.
type DamageError struct {
	Path string // in the log's directory
	Why  string
	Do   string // what brings the log back: the one thing to do
}

func (e *DamageError) Error() string { return fmt.Sprintf("%s: %s; %s", e.Path, e.Why, e.Do) }

const (
	doRepair = "run: repronet-aggregator ledger repair"
	doCopy   = "bring back what is missing from a copy of this ledger, a mirror's or a backup's log directory: repronet-aggregator ledger repair --from DIR|URL"
	doGiveUp = "the copy does not have it either: give another copy, or give up what is in none: repronet-aggregator ledger repair --accept-loss"
)

// A recovery finds out, before anything is signed, which tree the files of a log
// make up, and that this continues all that is known to have been signed.
type recovery struct {
	disk
	key *Key
	say func(done string) // of what was mended, a sentence without a full stop

	edge       *edge
	checkpoint *ledger.Checkpoint // nil: there is none
	state      *treeState         // nil: lost
	mended     bool
	complete   []file // what became complete while the tree was extended
}

// run proves the log or mends it, or returns a [*DamageError].
//
// The state in .state says which tree is on disk. Where it is lost, the tree is that
// of the published checkpoint, and what follows it for as far as entries and tiles
// agree. A tile that is wrong is computed from the entries; entries cannot be.
func (r *recovery) run(ctx context.Context, known []Tree) (err error) {
	if err := r.readCheckpoint(); err != nil {
		return err
	}
	if r.state, err = r.readState(); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.extend(); err != nil {
		return err
	}
	if err := r.coverCheckpoint(ctx); err != nil {
		return err
	}
	for _, tree := range known {
		if err := r.coverKnown(ctx, tree); err != nil {
			return err
		}
	}
	if err := r.tidy(); err != nil {
		return err
	}
	return r.settle()
}

func (r *recovery) readCheckpoint() error {
	text, err := r.read(checkpointFile, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r.checkpoint, err = ledger.OpenCheckpoint(text, r.key.Verifier())
	if err == nil {
		return nil
	}
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		for _, sig := range unverified.Note.UnverifiedSigs {
			if sig.Name == r.key.Name() && sig.Hash != r.key.KeyHash() {
				return &DamageError{
					checkpointFile, fmt.Sprintf("it is signed by the key %08x of this log, and log.key is the key %08x", sig.Hash, r.key.KeyHash()),
					"bring back the log.key that belongs to this ledger from a backup",
				}
			}
		}
	}
	return &DamageError{checkpointFile, fmt.Sprintf("it is not what this log's key signed (%v)", err), doRepair}
}

// begin finds the tree from which to go on: that of the state or, without it, that of
// the checkpoint.
func (r *recovery) begin(ctx context.Context) error {
	if r.state != nil {
		damage, err := r.prove(ctx, r.state.Size, tlog.Hash(r.state.Root))
		if err != nil || damage == nil {
			return err
		}
		if r.checkpoint == nil {
			return damage
		}
		// The state itself may be damaged.
		if atCheckpoint, err := r.prove(ctx, r.checkpoint.Size, r.checkpoint.Root); err != nil || atCheckpoint != nil {
			return errors.Join(err, asError(damage))
		}
		size := r.state.Size
		if err := r.extend(); err != nil {
			return err
		}
		if r.edge.size < size {
			return damage
		}
		return nil
	}
	if r.checkpoint != nil {
		damage, err := r.prove(ctx, r.checkpoint.Size, r.checkpoint.Root)
		if err == nil && damage == nil && r.checkpoint.Size > 0 {
			r.told("the writer's state was lost and is made anew from the %d entries that are published, and what follows them", r.checkpoint.Size)
		}
		return errors.Join(err, asError(damage))
	}
	for _, name := range []string{ledger.TilePath(-1, 0, ledger.BundleWidth), partialsOf(-1, 0)} {
		if there, err := r.exists(name); err != nil || there {
			return errors.Join(err, &DamageError{
				checkpointFile, "it is not there, nor is " + stateFile + ", and there are entries: how many belong to this log is not known", doCopy,
			})
		}
	}
	r.edge = &edge{}
	return nil
}

func asError(damage *DamageError) error {
	if damage == nil {
		return nil
	}
	return damage
}

func (r *recovery) told(format string, args ...any) {
	r.mended = true
	r.say(fmt.Sprintf(format, args...))
}

// prove makes the tree with the root the one to go on from. It reads the right edge,
// and everything if that is not the tree's. The damage is what cannot be mended.
func (r *recovery) prove(ctx context.Context, size uint64, root tlog.Hash) (*DamageError, error) {
	e, err := r.readEdge(size)
	if unlessBroken(err) != nil {
		return nil, err
	}
	if err == nil && e.root() == root {
		r.edge = e
		return nil, nil //nolint:nilnil // no damage, no error
	}
	s := &scan{disk: r.disk, size: size, root: root}
	proven, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	if !proven || len(s.bundles) > 0 {
		return s.damage(proven), nil
	}
	again := &scan{disk: r.disk, size: size, root: root, mend: true}
	if _, err := again.run(ctx); err != nil {
		return nil, err
	}
	for _, tile := range s.tiles {
		r.told("%s was made anew from the entries: %s", tile.path, tile.what)
	}
	r.edge = again.edge
	return nil, nil //nolint:nilnil // no damage, no error
}

// damage says what of the entries is not there.
func (s *scan) damage(proven bool) *DamageError {
	if len(s.bundles) == 0 {
		path := ledger.TilePath(-1, (max(s.size, 1)-1)/ledger.BundleWidth, ledger.BundleWidth)
		return &DamageError{path, fmt.Sprintf("the %d entries up to there are not those that the log has the root %s of", s.size, s.root), doCopy}
	}
	why := "the entries in it are not those of the log: " + s.bundles[0].what
	if !proven {
		why = "the entries in it cannot be those of the log: " + s.bundles[0].what
	}
	if more := len(s.bundles) - 1; more > 0 {
		why += fmt.Sprintf(" (and %d more files)", more)
	}
	return &DamageError{s.bundles[0].path, why, doCopy}
}

// readEdge reads the right edge of a tree, and checks that its entries have the
// hashes that its tile has.
func (d disk) readEdge(size uint64) (*edge, error) {
	e := &edge{size: size}
	for level := 0; size>>(8*level) > 0; level++ {
		width := int(size >> (8 * level) % ledger.BundleWidth)
		var hashes []tlog.Hash
		if width > 0 {
			var err error
			if hashes, err = d.tile(level, e.tile(level), width); err != nil {
				return nil, err
			}
		}
		e.levels = append(e.levels, hashes)
	}
	width := int(size % ledger.BundleWidth)
	if width == 0 {
		return e, nil
	}
	entries, err := d.bundle(e.tile(0), width)
	if err != nil {
		return nil, err
	}
	if !equal(leafHashes(entries), e.levels[0]) {
		return nil, &brokenError{ledger.TilePath(-1, e.tile(0), width), errOther.Error()}
	}
	for _, entry := range entries {
		e.bundle = ledger.AppendToBundle(e.bundle, entry)
	}
	return e, nil
}

// extend takes in what is on disk behind the tree, for as far as bundles and tiles
// agree: a batch that was written when the process ended, or, where the state is
// lost, all that no checkpoint covers yet.
func (r *recovery) extend() error {
	for {
		next, err := r.next()
		if err != nil || next == nil {
			return err
		}
		r.mended, r.edge = true, next
	}
}

// next returns the tree with what is stored next; nil if nothing is.
func (r *recovery) next() (*edge, error) {
	n := r.edge.tile(0)
	widths, err := r.widths(-1, n)
	if err != nil {
		return nil, err
	}
	have := int(r.edge.size % ledger.BundleWidth)
	for _, width := range append([]int{ledger.BundleWidth}, widths...) {
		if width <= have {
			return nil, nil //nolint:nilnil // nothing follows
		}
		entries, err := r.bundle(n, width)
		if err == nil {
			var tile []tlog.Hash
			if tile, err = r.tile(0, n, width); err == nil && !equal(leafHashes(entries), tile) {
				continue
			}
		}
		if unlessBroken(err) != nil {
			return nil, err
		}
		if err != nil {
			continue
		}
		grown := r.edge.clone()
		var before []byte
		for _, e := range entries[:have] {
			before = ledger.AppendToBundle(before, e)
		}
		if !bytes.Equal(before, r.edge.bundle) {
			continue
		}
		for _, e := range entries[have:] {
			grown.add(e, func(f file) { r.complete = append(r.complete, f) })
		}
		return grown, nil
	}
	return nil, nil //nolint:nilnil // nothing follows
}

// coverCheckpoint checks that the tree is at least what was published.
func (r *recovery) coverCheckpoint(ctx context.Context) error {
	c := r.checkpoint
	if c == nil {
		return nil
	}
	if c.Size > r.edge.size {
		size := r.edge.size
		damage, err := r.prove(ctx, c.Size, c.Root)
		if err != nil {
			return err
		}
		if damage != nil {
			return &DamageError{checkpointFile, fmt.Sprintf("%d entries were published, and only %d are here: this ledger is older than its checkpoint (%s: %s)", c.Size, size, damage.Path, damage.Why), doCopy}
		}
		r.told("the writer's state, of %d entries, was older than the checkpoint of %d and is made anew", size, c.Size)
		return r.extend()
	}
	return r.continues(ctx, Tree{c.Size, c.Root, "the published checkpoint"}, checkpointFile)
}

// coverKnown checks that the tree is at least what is known from elsewhere. What is
// before the checkpoint has been signed, one way or the other.
func (r *recovery) coverKnown(ctx context.Context, t Tree) error {
	if r.checkpoint != nil && t.Size <= r.checkpoint.Size || t.Size == 0 {
		return nil
	}
	if t.Size > r.edge.size {
		return &DamageError{checkpointFile, fmt.Sprintf("%s was made from %d entries, and only %d are here: this ledger is older than what was acknowledged", t.Source, t.Size, r.edge.size), doCopy}
	}
	return r.continues(ctx, t, checkpointFile)
}

// continues checks that the tree begins with an earlier one.
func (r *recovery) continues(ctx context.Context, t Tree, path string) error {
	if t.Size == 0 {
		return nil
	}
	check := func() error {
		local := ledger.NewReader(ledger.Dir(r.dir), r.key.Verifier()).Local(r.edge.size)
		proof, err := local.ProveConsistency(ctx, t.Size)
		if err != nil {
			return err
		}
		return tlog.CheckTree(proof, int64(r.edge.size), r.edge.root(), int64(t.Size), t.Root)
	}
	if t.Size == r.edge.size {
		check = func() error {
			if r.edge.root() != t.Root {
				return errors.New("the roots differ")
			}
			return nil
		}
	}
	if check() == nil {
		return nil
	}
	if damage, err := r.prove(ctx, r.edge.size, r.edge.root()); err != nil || damage != nil {
		return errors.Join(err, asError(damage))
	}
	if err := r.mendTiles(ctx); err != nil {
		return err
	}
	if err := check(); err != nil {
		return &DamageError{path, fmt.Sprintf("the entries here are another history than %s, which has %d entries with the root %s (%v)", t.Source, t.Size, t.Root, err), doCopy}
	}
	return nil
}

// mendTiles computes all tiles of the tree from its entries.
func (r *recovery) mendTiles(ctx context.Context) error {
	s := &scan{disk: r.disk, size: r.edge.size, root: r.edge.root(), mend: true}
	proven, err := s.run(ctx)
	if err != nil {
		return err
	}
	if !proven || len(s.bundles) > 0 {
		return s.damage(proven)
	}
	for _, tile := range s.tiles {
		r.told("%s was made anew from the entries: %s", tile.path, tile.what)
	}
	return nil
}

// tidy removes what a batch that was broken off left behind the tree, so that it is
// never taken for a part of it.
func (r *recovery) tidy() error { return r.disk.tidy(r.edge) }

func (d disk) tidy(e *edge) error {
	var left []string
	furthest := e.size
	for level := -1; level < len(e.levels)+1; level++ {
		n := e.size >> (8 * (max(level, 0) + 1))
		have := int(e.size >> (8 * max(level, 0)) % ledger.BundleWidth)
		for ; ; n, have = n+1, 0 {
			here, width, err := d.behind(level, n, have)
			if err != nil {
				return err
			}
			if len(here) == 0 {
				break
			}
			left = append(left, here...)
			if level < 0 {
				furthest = n*ledger.BundleWidth + uint64(width)
			}
		}
	}
	if furthest-e.size > maxBatch {
		return &DamageError{
			left[0], fmt.Sprintf("%d entries are here behind the %d that the log has, more than a batch that was broken off", furthest-e.size, e.size), doCopy,
		}
	}
	for _, name := range left {
		if err := os.Remove(d.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// behind lists the versions of a tile or bundle that are wider than the tree's, and
// the greatest width.
func (d disk) behind(level int, n uint64, have int) (names []string, widest int, err error) {
	widths, err := d.widths(level, n)
	if err != nil {
		return nil, 0, err
	}
	for _, width := range append([]int{ledger.BundleWidth}, widths...) {
		if width <= have {
			break
		}
		name := ledger.TilePath(level, n, width)
		there, err := d.exists(name)
		if err != nil {
			return nil, 0, err
		}
		if there {
			names, widest = append(names, name), max(widest, width)
		}
	}
	return names, widest, nil
}

// settle writes what is not on disk as the tree has it.
func (r *recovery) settle() error {
	root := r.edge.root()
	if !r.mended && r.state != nil && r.state.Size == r.edge.size && tlog.Hash(r.state.Root) == root {
		return nil
	}
	if err := r.write(r.complete); err != nil {
		return err
	}
	return r.disk.settle(r.edge)
}

func (d disk) settle(e *edge) error {
	if err := d.write(e.partials()); err != nil {
		return err
	}
	return d.writeState(e.size, e.root())
}
