package reporter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/reporter/spool"
)

// auditEvery is after how many intervals of [Runner.Run] the ledger is compared again
// with what it acknowledged, while nothing else asks for it.
const auditEvery = 60

// An auditor compares the ledger with what it acknowledged: an aggregator that was
// restored from a backup has lost the newest, and does not know it.
type auditor struct {
	every time.Duration
	at    time.Time // of the last audit
	// suspected tells that a receipt is of an older ledger than was seen.
	suspected bool
	fresh     map[uint64]struct{} // ledger indices acknowledged since the last audit that was done
	unproven  []spool.Copy        // lost, and sent again, before the proof of it could be kept
	told      string              // what was said last
}

func (a *auditor) due() bool {
	return a.suspected || len(a.unproven) > 0 || a.at.IsZero() || time.Since(a.at) >= a.every
}

// acknowledged notes a receipt that was verified.
func (a *auditor) acknowledged(receipt *ledger.Receipt, checkpoint, seen *ledger.Checkpoint) {
	if a.fresh == nil {
		a.fresh = map[uint64]struct{}{}
	}
	a.fresh[receipt.Index] = struct{}{}
	if seen != nil {
		a.suspected = a.suspected || checkpoint.Size < seen.Size || checkpoint.Size == seen.Size && checkpoint.Root != seen.Root
	}
}

// A comparison is what the ledger shows, held against what is known of it.
type comparison struct {
	tree   *ledger.Tree
	latest *ledger.Checkpoint
	seen   *ledger.Checkpoint // nil: none
	fork   *ledger.ForkError  // of seen and latest
	lost   []spool.Copy       // what was acknowledged and is not there
}

// older reports whether the ledger shows less than it signed before: than was seen, or
// than it had when it acknowledged what is lost.
func (c *comparison) older(lost []spool.Copy) bool {
	return c.seen != nil && c.latest.Size < c.seen.Size ||
		slices.ContainsFunc(lost, func(l spool.Copy) bool { return l.Index >= c.latest.Size })
}

// audit compares the ledger with what it acknowledged. What it has lost is put back into
// the outbox, and that it signed two histories is kept as a proof. It returns how many
// statements are to be sent again, also with an error. That the ledger cannot be read now is
// logged, and no reason to do anything. An audit that is not done is done again.
func (r *Runner) audit(ctx context.Context) (again int, err error) {
	suspected, done := r.auditor.suspected, false
	r.auditor.at, r.auditor.suspected = time.Now(), false
	defer func() { r.auditor.suspected = !done && (suspected || err != nil) }()
	copies, err := r.writer.Copies()
	if err != nil {
		return 0, err
	}
	if len(copies) == 0 && r.seen == nil {
		done = true
		return 0, nil
	}
	c, err := r.compare(ctx, copies)
	if err != nil {
		if ctx.Err() == nil {
			r.logger.Warn("the ledger cannot be compared with what it acknowledged", "error", err)
		}
		return 0, nil
	}
	if again, err = r.writer.SendAgain(c.lost); err != nil {
		return again, err
	}
	clear(r.auditor.fresh)
	r.auditor.unproven = append(r.auditor.unproven, c.lost...)
	if c.fork == nil && !c.older(r.auditor.unproven) && len(r.auditor.unproven) == 0 {
		err = r.saw(c.latest)
		done = err == nil
		return 0, err
	}
	conviction, err := r.convict(ctx, c)
	r.tell(c, again, conviction)
	if err != nil { // the checkpoint that was seen stays: it is a part of the proof
		return again, fmt.Errorf("keeping the proof of what the ledger lost: %w", err)
	}
	if c.fork == nil && c.older(r.auditor.unproven) {
		err = r.rememberNewest(c)
	} else {
		err = r.saw(c.latest)
	}
	if err == nil {
		r.auditor.unproven, done = nil, true
	}
	return again, err
}

// compare reads the ledger as far as it has to be known. Before the checkpoint that was
// seen and that the ledger continues, everything is where it was.
func (r *Runner) compare(ctx context.Context, copies []spool.Copy) (*comparison, error) {
	reader := ledger.NewReader(r.api.Log(), r.logKey)
	latest, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	c := &comparison{tree: reader.Tree(latest), latest: latest, seen: r.seen}
	from := uint64(0)
	if c.seen != nil && c.seen.Size <= latest.Size {
		err := c.tree.CheckContinues(ctx, c.seen)
		if fork, ok := errors.AsType[*ledger.ForkError](err); ok {
			c.fork = fork
		} else if err != nil {
			return nil, err
		} else {
			from = c.seen.Size
		}
	}
	var leaves []tlog.Hash // of the bundle
	bundle := uint64(0)
	for _, known := range copies {
		if _, fresh := r.auditor.fresh[known.Index]; known.Index < from && !fresh {
			continue
		}
		if known.Index >= latest.Size {
			c.lost = append(c.lost, known)
			continue
		}
		if at := known.Index / ledger.BundleWidth; leaves == nil || at != bundle {
			if leaves, err = c.tree.LeafHashes(ctx, at); err != nil {
				return nil, err
			}
			bundle = at
		}
		if leaves[known.Index%ledger.BundleWidth] != known.Leaf {
			c.lost = append(c.lost, known)
		}
	}
	return c, nil
}

// convict keeps the proof that two histories were signed, and returns its file; "" where
// what is shown proves nothing yet.
func (r *Runner) convict(ctx context.Context, c *comparison) (file string, err error) {
	var proof ledger.Conviction
	switch {
	case c.fork != nil:
		proof.Fork = &ledger.Fork{Old: string(c.fork.Old.Text), New: string(c.fork.New.Text), Root: c.fork.Root}
		if c.fork.Old.Size < c.fork.New.Size {
			if proof.Fork.Proof, err = c.tree.ProveConsistency(ctx, c.fork.Old.Size); err != nil {
				return "", err
			}
		}
	default:
		if proof.Entries, err = r.twoEntries(ctx, c); err != nil || proof.Entries == nil {
			return "", err
		}
	}
	if err := proof.Verify(r.logKey); err != nil {
		return "", err
	}
	return r.writer.KeepConviction(&proof)
}

// twoEntries returns the proofs that the ledger signed two entries at one index, if it
// is known of one.
func (r *Runner) twoEntries(ctx context.Context, c *comparison) (*[2]ledger.Inclusion, error) {
	for receipt, err := range r.receipts(r.auditor.unproven) {
		if err != nil {
			return nil, err
		}
		if receipt.Index >= c.latest.Size {
			continue
		}
		if _, err := receipt.Verify(r.logKey); err != nil {
			continue // the file was changed
		}
		leaves, err := c.tree.LeafHashes(ctx, receipt.Index/ledger.BundleWidth)
		if err != nil {
			return nil, err
		}
		shown := ledger.Inclusion{Index: receipt.Index, Leaf: leaves[receipt.Index%ledger.BundleWidth], Checkpoint: string(c.latest.Text)}
		if shown.Leaf == receipt.Leaf {
			continue // it is where it was by now
		}
		if shown.Proof, err = c.tree.ProveInclusion(ctx, receipt.Index); err != nil {
			return nil, err
		}
		return &[2]ledger.Inclusion{receipt, shown}, nil
	}
	return nil, nil
}

// receipts yields the receipts of statements that were lost. Where there are none it reads
// nothing: the file grows for as long as the installation is used.
func (r *Runner) receipts(lost []spool.Copy) iter.Seq2[ledger.Inclusion, error] {
	return func(yield func(ledger.Inclusion, error) bool) {
		if len(lost) == 0 {
			return
		}
		leaves := make(map[uint64][]tlog.Hash, len(lost))
		for _, l := range lost {
			leaves[l.Index] = append(leaves[l.Index], l.Leaf)
		}
		for receipt, err := range r.writer.Receipts() {
			if (err != nil || slices.Contains(leaves[receipt.Index], receipt.Leaf)) && !yield(receipt, err) {
				return
			}
		}
	}
}

// tell says what was found, once.
func (r *Runner) tell(c *comparison, again int, conviction string) {
	text := fmt.Sprintf("the aggregator's ledger lost what it had acknowledged: it shows %d entries", c.latest.Size)
	if c.seen != nil {
		text += fmt.Sprintf(", and had signed %d", c.seen.Size)
	}
	if again > 0 {
		text += fmt.Sprintf("; %d statements are sent again", again)
	}
	if conviction != "" {
		text += "; the proof that it signed two histories is kept in " + conviction
	}
	if text == r.auditor.told {
		return
	}
	r.auditor.told = text
	r.logger.Error("the ledger lost what it had acknowledged: it was restored from a backup, or is not honest",
		"shows", c.latest.Size, "sent_again", again, "conviction", conviction)
	r.writer.Report("run", text)
}

// saw keeps a checkpoint that was compared with everything that is known.
func (r *Runner) saw(c *ledger.Checkpoint) error {
	if r.seen != nil && r.seen.Size == c.Size && r.seen.Root == c.Root {
		return nil
	}
	if err := r.writer.SetSeen(c.Text); err != nil {
		return err
	}
	r.seen = c
	return nil
}

// rememberNewest keeps the newest checkpoint that is known of the history that was lost,
// which convicts the ledger when it has grown beyond it.
func (r *Runner) rememberNewest(c *comparison) error {
	newest := c.seen
	for receipt, err := range r.receipts(r.auditor.unproven) {
		if err != nil {
			return err
		}
		if signed, err := receipt.Verify(r.logKey); err == nil && (newest == nil || signed.Size > newest.Size) {
			newest = signed
		}
	}
	if newest == nil {
		return nil
	}
	return r.saw(newest)
}

// useLedger is for when the log's key is known: it reads the checkpoint that an earlier
// process kept, unless that, and the copies, are another ledger's. Then the installation
// reports elsewhere now.
func (r *Runner) useLedger() error {
	opens := func(text []byte) bool {
		_, err := ledger.OpenCheckpoint(text, r.logKey)
		return err == nil
	}
	forgot, err := r.writer.UseLedger(fmt.Sprintf("%s+%08x", r.logKey.Name(), r.logKey.KeyHash()), opens)
	if err != nil {
		return err
	}
	if forgot {
		r.logger.Info("forgot the copies of what another ledger acknowledged", "log", r.logKey.Name())
	}
	text, err := r.writer.Seen()
	if err != nil || text == nil {
		return err
	}
	if r.seen, err = ledger.OpenCheckpoint(text, r.logKey); err != nil {
		r.logger.Warn("the checkpoint of the ledger that was seen last is damaged, and not used", "error", err)
	}
	return nil
}
