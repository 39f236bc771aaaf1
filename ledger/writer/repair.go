package writer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// RepairConfig says how to repair a log.
type RepairConfig struct {
	Dir string
	Key *Key
	// From reads a copy of the log, to bring back what does not follow from what is
	// here. Whatever it gives is checked before it is written. nil: there is none.
	From ledger.Fetcher
	// AcceptLoss gives up what is published or acknowledged and cannot be brought
	// back. Who saw it can then prove that the log signed two histories.
	AcceptLoss bool
	Progress   Progress
	// Say is told each thing that was done, a sentence without a full stop.
	Say func(done string)
}

// Repair brings a log that no process writes back to a state that [Open] takes: it
// makes anew what follows from the entries, fetches what does not from a copy, and
// returns a [*DamageError] for what it cannot prove. Nothing is signed.
func Repair(ctx context.Context, config RepairConfig) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("repairing the ledger in %s: %w", config.Dir, err)
		}
	}()
	if _, err := os.Stat(config.Dir); err != nil {
		return err
	}
	lock, err := lockDir(config.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	r := &repair{RepairConfig: config, disk: disk{config.Dir}}
	if r.Progress == nil {
		r.Progress = func(string, uint64, uint64) {}
	}
	if err := r.keepCheckpoint(); err != nil {
		return err
	}
	if r.From != nil {
		if err := r.fetch(ctx); err != nil {
			return err
		}
	}
	if err := r.recover(ctx); err != nil {
		return err
	}
	if err := r.mendOld(ctx); err != nil || r.From == nil {
		return err
	}
	return r.fetchAttachments(ctx)
}

type repair struct {
	RepairConfig
	disk
}

// recover does what a start does.
func (r *repair) recover(ctx context.Context) error {
	recovery := func() *recovery {
		return &recovery{disk: r.disk, key: r.Key, say: r.Say}
	}
	err := recovery().run(ctx, nil)
	damage, damaged := errors.AsType[*DamageError](err)
	if damaged && r.From != nil {
		damage.Do = doGiveUp
	}
	if !damaged || !r.AcceptLoss {
		return err
	}
	if err := r.giveUp(ctx, damage); err != nil {
		return err
	}
	return recovery().run(ctx, nil)
}

// keepCheckpoint sets a checkpoint aside that the log's key did not sign: the copy
// has one, or the next start signs what the writer's state proves.
func (r *repair) keepCheckpoint() error {
	c := &recovery{disk: r.disk, key: r.Key}
	err := c.readCheckpoint()
	damage, damaged := errors.AsType[*DamageError](err)
	if !damaged || damage.Do != doRepair {
		return err
	}
	return r.setAside(checkpointFile, "which this log's key did not sign")
}

func (r *repair) setAside(name, why string) error {
	aside := fmt.Sprintf(".state/%s.%s", strings.ReplaceAll(name, "/", "-"), time.Now().UTC().Format("20060102T150405Z"))
	if err := durable.Rename(r.path(name), r.path(aside)); err != nil {
		return err
	}
	r.Say(fmt.Sprintf("%s, %s, was set aside as %s", name, why, aside))
	return nil
}

// fetch brings entries from the copy: those that are damaged here, and those that are
// missing.
func (r *repair) fetch(ctx context.Context) error {
	reader := ledger.NewReader(r.From, r.Key.Verifier())
	remote, err := reader.Checkpoint(ctx)
	if err != nil {
		return fmt.Errorf("reading the copy: %w", err)
	}
	local := &recovery{disk: r.disk, key: r.Key}
	if err := local.readCheckpoint(); err != nil {
		return err
	}
	tree := reader.Tree(remote)
	keep := func(uint64) bool { return false }
	if c := local.checkpoint; c != nil && c.Size <= remote.Size {
		if err := tree.CheckContinues(ctx, c); err != nil {
			return fmt.Errorf("the copy is of another history: %w", err)
		}
	} else if keep, err = r.undamaged(ctx, c); err != nil {
		return err
	}
	if err := r.fetchBundles(ctx, tree, keep); err != nil {
		return err
	}
	if local.checkpoint == nil || local.checkpoint.Size < remote.Size {
		if err := r.write([]file{{checkpointFile, remote.Text}}); err != nil {
			return err
		}
		r.Say(fmt.Sprintf("the checkpoint of %d entries was taken from the copy", remote.Size))
	}
	return nil
}

// undamaged tells which bundles of the tree that is known here are not damaged: where the copy
// cannot be proven to be of the same history, these stay as they are.
func (r *repair) undamaged(ctx context.Context, c *ledger.Checkpoint) (func(n uint64) bool, error) {
	known := &scan{disk: r.disk}
	if c != nil {
		known.size, known.root = c.Size, c.Root
	} else if state, err := r.readState(); err != nil {
		return nil, err
	} else if state != nil {
		known.size, known.root = state.Size, tlog.Hash(state.Root)
	}
	if _, err := known.run(ctx); err != nil {
		return nil, err
	}
	damaged := map[string]bool{}
	for _, b := range known.bundles {
		damaged[b.path] = true
	}
	return func(n uint64) bool {
		if n*ledger.BundleWidth >= known.size {
			return false
		}
		width := min(ledger.BundleWidth, known.size-n*ledger.BundleWidth)
		return !damaged[ledger.TilePath(-1, n, int(width))]
	}, nil
}

// fetchBundles writes the bundles of the copy's tree that are not here as they are
// there, but for those to keep.
func (r *repair) fetchBundles(ctx context.Context, tree *ledger.Tree, keep func(n uint64) bool) error {
	fetched := uint64(0)
	for n := uint64(0); n*ledger.BundleWidth < tree.Size(); n++ {
		r.Progress("comparing with the copy", n*ledger.BundleWidth, tree.Size())
		if keep(n) {
			continue
		}
		width := int(min(ledger.BundleWidth, tree.Size()-n*ledger.BundleWidth))
		want, err := tree.LeafHashes(ctx, n)
		if err != nil {
			return fmt.Errorf("reading the copy: %w", err)
		}
		entries, err := r.bundle(n, width)
		if err == nil && equal(leafHashes(entries), want) {
			continue
		}
		if unlessBroken(err) != nil {
			return err
		}
		records, err := tree.Bundle(ctx, n)
		if err != nil {
			return fmt.Errorf("reading the copy: %w", err)
		}
		var bundle []byte
		for _, record := range records {
			bundle = ledger.AppendToBundle(bundle, record.Data)
		}
		// The leaf hashes too, so that a start that finds no state takes them in.
		files := []file{{ledger.TilePath(-1, n, width), bundle}, {ledger.TilePath(0, n, width), tileData(want)}}
		if err := r.write(files); err != nil {
			return err
		}
		fetched++
	}
	if fetched > 0 {
		r.Say(fmt.Sprintf("%d files of entries were taken from the copy", fetched))
	}
	return nil
}

// fetchAttachments replaces the attachments that are damaged, as far as the copy has them.
func (r *repair) fetchAttachments(ctx context.Context) error {
	c := &check{recovery: recovery{disk: r.disk, key: r.Key}, progress: r.Progress, report: &Report{}}
	if err := c.attachments(ctx); err != nil {
		return err
	}
	var missing error
	for _, f := range c.report.Findings {
		var id ledger.AttachmentID
		sum, err := hex.DecodeString(strings.TrimPrefix(f.Path, attachmentsDir+"/"))
		if err != nil || len(sum) != len(id) {
			continue // no attachment
		}
		copy(id[:], sum)
		data, err := ledger.FetchAttachment(ctx, r.From, id)
		if err != nil {
			missing = errors.Join(missing, fmt.Errorf("reading %s of the copy: %w", f.Path, err))
			continue
		}
		if err := r.write([]file{{f.Path, data}}); err != nil {
			return err
		}
		r.Say(f.Path + " was taken from the copy")
	}
	return missing
}

// mendOld looks at what a start does not look at: complete tiles and bundles.
func (r *repair) mendOld(ctx context.Context) error {
	state, err := r.readState()
	if err != nil || state == nil {
		return errors.Join(err, errors.New("the state is not there although it was written"))
	}
	s := &scan{disk: r.disk, size: state.Size, root: tlog.Hash(state.Root), progress: func(n uint64) {
		r.Progress("checking entries", n, state.Size)
	}}
	proven, err := s.run(ctx)
	if err != nil {
		return err
	}
	if !proven || len(s.bundles) > 0 {
		return s.damage(proven)
	}
	if len(s.tiles) == 0 {
		return nil
	}
	for _, tile := range s.tiles {
		r.Say(tile.path + " was made anew from the entries: " + tile.what)
	}
	_, err = (&scan{disk: r.disk, size: s.size, root: s.root, mend: true}).run(ctx)
	return err
}

// giveUp goes back to the entries that are here and whole. The checkpoint that covers
// more is kept as what it is: proof of what was published.
func (r *repair) giveUp(ctx context.Context, damage *DamageError) error {
	before, err := r.readState()
	if err != nil {
		return err
	}
	c := &recovery{disk: r.disk, key: r.Key}
	if err := c.readCheckpoint(); err != nil {
		return err
	}
	end := uint64(0)
	if before != nil {
		end = before.Size
	}
	if c.checkpoint != nil {
		end = max(end, c.checkpoint.Size)
	}
	e := &edge{}
	for n := uint64(0); e.size == n*ledger.BundleWidth; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := r.whole(n)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			e.add(entry, func(file) {})
		}
		if len(entries) == 0 {
			break
		}
	}
	for _, name := range []string{checkpointFile, stateFile} {
		there, err := r.exists(name)
		if err == nil && there {
			err = r.setAside(name, "which covers what is given up")
		}
		if err != nil {
			return err
		}
	}
	for level := -1; level < 8; level++ {
		shift := 8 * (max(level, 0) + 1)
		for n := e.size >> shift; n <= end>>shift; n++ {
			have := 0
			if n == e.size>>shift {
				have = int(e.size >> (8 * max(level, 0)) % ledger.BundleWidth)
			}
			if err := r.moveBehind(level, n, have); err != nil {
				return err
			}
		}
	}
	if err := r.settle(e); err != nil {
		return err
	}
	r.Say(fmt.Sprintf("the ledger goes on with the first %d entries; given up is what was behind them (%s: %s)", e.size, damage.Path, damage.Why))
	return nil
}

// whole returns the entries of a bundle, up to the first that its tile does not have.
func (r *repair) whole(n uint64) ([][]byte, error) {
	widths, err := r.widths(-1, n)
	if err != nil {
		return nil, err
	}
	for _, width := range append([]int{ledger.BundleWidth}, widths...) {
		entries, err := r.bundle(n, width)
		if unlessBroken(err) != nil {
			return nil, err
		}
		if err != nil {
			continue
		}
		tile, err := r.tile(0, n, width)
		if unlessBroken(err) != nil {
			return nil, err
		}
		for i, hash := range leafHashes(entries) {
			if i < len(tile) && tile[i] != hash {
				return entries[:i], nil
			}
		}
		return entries, nil
	}
	return nil, nil
}

// moveBehind moves the versions of a tile or bundle that are wider than the tree's
// out of the way.
func (r *repair) moveBehind(level int, n uint64, have int) error {
	names, _, err := r.behind(level, n, have)
	if err != nil {
		return err
	}
	for _, name := range names {
		to := r.path(".state/given-up/" + name)
		if err := durable.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := durable.Rename(r.path(name), to); err != nil {
			return err
		}
	}
	return nil
}
