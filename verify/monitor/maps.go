package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// audit computes the maps to which the ledger commits, and compares. In its directory
// are the map of the entries that were read, named by their number, and the file
// "audited"; both can be lost, and are made again, as they are where a program of other
// rules wrote them. The files wrong-INDEX.json there are evidence, and stay; those of a
// program of other rules are judged again.
type audit struct {
	dir     string
	read    uint64 // entries that were looked at for roots
	pending []committed
	// again are the ledger indices of roots that a program of other rules found wrong.
	again map[uint64]struct{}
	// newer says why no entries from read on are looked at: this program does not know
	// the first of them. A newer one goes on from there.
	newer error
}

// A committed root is the one of an entry.
type committed struct {
	index uint64
	root  outputmap.Root
	err   error // why it cannot be one
}

// rootsAtOnce is how many roots are computed in a round, of which each takes a pass
// over all claims. In time with a ledger there is one at most. Who comes later, or was
// away, checks the newest and a random choice of the others.
const rootsAtOnce = 8

// run raises every wrong map root that is known.
func (a *audit) run(ctx context.Context, tree *ledger.Tree, receipt func(context.Context, uint64) (*ledger.Receipt, error), raise func(Alert)) error {
	if err := a.look(ctx, tree); err != nil {
		return fmt.Errorf("looking for map roots: %w", err)
	}
	if len(a.pending) > 0 {
		if err := a.check(ctx, tree, receipt); err != nil {
			return fmt.Errorf("auditing map roots: %w", err)
		}
		a.pending = nil
	}
	return a.found(func(path string, w *WrongRoot) {
		if w.Rules != reading.Newest {
			return // not judged again yet, for want of its entry
		}
		raise(Alert{MapRoot, fmt.Sprintf("%s; the log's receipt of that entry is kept in %s: who has the ledger computes the root again, with repronet-verify replay --all-maps or any other program", w.Finding, path), path})
	})
}

// found visits what was found wrong.
func (a *audit) found(visit func(path string, w *WrongRoot)) error {
	evidence, err := filepath.Glob(filepath.Join(a.dir, "wrong-*.json"))
	if err != nil {
		return err
	}
	for _, path := range evidence {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var w WrongRoot
		if err := json.Unmarshal(text, &w); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if w.Receipt == nil {
			return fmt.Errorf("reading %s: it has no receipt", path)
		}
		visit(path, &w)
	}
	return nil
}

func (a *audit) wrong(index uint64) string {
	return filepath.Join(a.dir, fmt.Sprintf("wrong-%d.json", index))
}

// WrongRoot is the evidence of a wrong map root: the log signed an entry that commits
// to a map which is not that of its entries.
type WrongRoot struct {
	Finding  string          `json:"finding"`
	Rules    reading.Version `json:"rules,omitzero"`     // the newest that its program knew; 0 of release 0.1.0
	Receipt  *ledger.Receipt `json:"receipt"`            // of the entry with the root
	Computed *outputmap.Root `json:"computed,omitempty"` // from the entries; none of what is no root at all
}

// look reads what the tree has grown by, up to the first entry that this program does
// not know, and notes the roots in it.
func (a *audit) look(ctx context.Context, tree *ledger.Tree) error {
	if a.read == 0 {
		if err := a.resume(); err != nil {
			return err
		}
	}
	for record, err := range tree.Records(ctx, a.read, tree.Size()) {
		if err != nil {
			return err
		}
		entry, err := reading.Decode(record)
		if err == nil {
			err = reading.Known(record.Index, entry)
		}
		var root outputmap.Root
		committing := err == nil && entry.Kind == ledger.MapRoot
		if committing {
			root, err = reading.ParseMapRoot(record.Index, entry.Body)
		}
		if errors.Is(err, reading.ErrNewerRules) {
			a.newer = err
			return nil
		}
		a.read = record.Index + 1
		if committing {
			a.pending = append(a.pending, committed{record.Index, root, err})
		}
	}
	a.newer = nil
	return nil
}

// auditedFormat is the form of the file "audited". Release 0.1.0 wrote the number of
// entries alone: it knew no rules, and passed over kinds of entries that it did not know.
const auditedFormat = "rules %d entries %d\n"

// resume goes on from where the last audit by the same rules ended, or begins anew.
func (a *audit) resume() error {
	a.again = map[uint64]struct{}{}
	err := a.found(func(_ string, w *WrongRoot) {
		if w.Rules != reading.Newest {
			a.again[w.Receipt.Index] = struct{}{}
		}
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(a.dir, "audited"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var rules reading.Version
	if _, err := fmt.Sscanf(string(text), auditedFormat, &rules, &a.read); err == nil && rules == reading.Newest {
		return nil
	}
	a.read = 0
	maps, err := a.maps()
	if err != nil {
		return err
	}
	for _, size := range maps {
		if err := os.RemoveAll(a.path(size)); err != nil {
			return err
		}
	}
	return nil
}

// chosen are the pending roots to compute, in ledger order: those that have to be judged
// again among them.
func (a *audit) chosen() []committed {
	newest := len(a.pending) - 1
	chosen := []committed{a.pending[newest]}
	for _, n := range rand.Perm(newest)[:min(newest, rootsAtOnce-1)] { //nolint:gosec // the ledger's holder cannot foresee it well enough
		chosen = append(chosen, a.pending[n])
	}
	for _, c := range a.pending {
		if _, again := a.again[c.index]; again && !slices.ContainsFunc(chosen, func(o committed) bool { return o.index == c.index }) {
			chosen = append(chosen, c)
		}
	}
	slices.SortFunc(chosen, func(x, y committed) int { return cmp.Compare(x.index, y.index) })
	return chosen
}

// check computes roots, keeps evidence of those that are wrong, and the map of all
// entries before the newest for the next time.
func (a *audit) check(ctx context.Context, tree *ledger.Tree, receipt func(context.Context, uint64) (*ledger.Receipt, error)) error {
	if err := durable.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	snapshot, err := a.extend(ctx, tree, a.pending[len(a.pending)-1].index)
	if err != nil {
		return err
	}
	defer snapshot.Close() // read only
	for _, c := range a.chosen() {
		wrong := &WrongRoot{Rules: reading.Newest}
		if c.err != nil {
			wrong.Finding = fmt.Sprintf("ledger index %d commits to a map that cannot be: %v", c.index, c.err)
		} else {
			ours, err := a.sum(snapshot, c.root.Size)
			if err != nil {
				return err
			}
			if ours == c.root {
				if err := durable.Remove(a.wrong(c.index)); err != nil { // by other rules
					return err
				}
				continue
			}
			wrong.Computed = &ours
			wrong.Finding = fmt.Sprintf("ledger index %d commits to the map %s with %d keys of the first %d entries, which make %s with %d keys: something was left out, or put in",
				c.index, c.root.Hash, c.root.Leaves, c.root.Size, ours.Hash, ours.Leaves)
		}
		if wrong.Receipt, err = receipt(ctx, c.index); err != nil {
			return err
		}
		text, err := json.Marshal(wrong, json.Deterministic(true), jsontext.WithIndent("  "))
		if err != nil {
			return err
		}
		if err := durable.WriteFile(a.wrong(c.index), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return durable.WriteFile(filepath.Join(a.dir, "audited"), fmt.Appendf(nil, auditedFormat, reading.Newest, a.read), 0o644)
}

// sum computes the root of the map of the first size entries.
func (a *audit) sum(snapshot *outputmap.Snapshot, size uint64) (outputmap.Root, error) {
	none := outputmap.NewSorter(a.dir)
	defer none.Close() // it holds nothing
	return outputmap.Sum(before(none.Pairs(snapshot), size), size)
}

// before leaves out the pairs of later entries.
func before(pairs iter.Seq2[outputmap.Pair, error], size uint64) iter.Seq2[outputmap.Pair, error] {
	return func(yield func(outputmap.Pair, error) bool) {
		for pair, err := range pairs {
			if (err != nil || pair.Index < size) && !yield(pair, err) {
				return
			}
		}
	}
}

// extend returns the map of the first size entries, all of which this program knows,
// made from the one that there is and the entries since.
func (a *audit) extend(ctx context.Context, tree *ledger.Tree, size uint64) (snapshot *outputmap.Snapshot, err error) {
	older, from := a.newest(size)
	if older != nil {
		defer func() { err = errors.Join(err, older.Close()) }()
	}
	sorter := outputmap.NewSorter(a.dir)
	defer func() { err = errors.Join(err, sorter.Close()) }()
	for record, err := range tree.Records(ctx, from, size) {
		if err != nil {
			return nil, err
		}
		entry, err := record.Entry()
		if err != nil {
			continue // about nothing, for any reader
		}
		keys, err := outputmap.Keys(record.Index, entry)
		if err != nil {
			return nil, err
		}
		if err := sorter.Add(record.Index, keys...); err != nil {
			return nil, err
		}
	}
	dir := a.path(size)
	if err := os.RemoveAll(dir); err != nil { // not to be opened, else it would be the newest
		return nil, err
	}
	if snapshot, err = outputmap.Build(dir, sorter.Pairs(older), size); err != nil || older == nil {
		return snapshot, err
	}
	return snapshot, os.RemoveAll(a.path(from))
}

// maps returns the sizes of the maps that there are.
func (a *audit) maps() (sizes []uint64, err error) {
	entries, err := os.ReadDir(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
			sizes = append(sizes, n)
		}
	}
	return sizes, err
}

func (a *audit) path(size uint64) string { return filepath.Join(a.dir, strconv.FormatUint(size, 10)) }

// newest opens the largest map that there is of fewer than size entries; nil if there
// is none.
func (a *audit) newest(size uint64) (older *outputmap.Snapshot, from uint64) {
	maps, err := a.maps()
	if err != nil {
		return nil, 0
	}
	for _, n := range maps {
		if n >= size || n < from {
			continue
		}
		if snapshot, err := outputmap.Open(a.path(n)); err == nil {
			if older != nil {
				_ = older.Close() // read only
			}
			older, from = snapshot, n
		}
	}
	return older, from
}
