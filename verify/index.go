package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// index finds the entries that speak of an output without reading the whole
// mirror. It is records
//
//	first 8 bytes of an attestation.OutputID | ledger index (8 bytes, big-endian)
//
// in ledger order: in the file "recent", and when that is large, put in order into 256 files
// that only grow, one for each first byte. A copy that is made to answer one question has one
// file to write. Files "roster", "sets" and "erased" with the indices of
// enrolments, revocations and versions of the rules, of package sets, and of erasures, and a file
// "indexed" that says up to which entry this holds, by the newest rules that its program knew. A
// look-up reads one file: of 50 million observations, 3 MB. A program of other rules makes
// the index anew: what an entry speaks of follows from them.
//
// What a look-up gives are candidates: entries that have to be opened anyway, so
// records that are there twice after a crash, or of prefixes that collide, do no
// harm. All that matters is that none is missing: the files are on disk before
// "indexed" says so. Whose claims an entry holds is not in the index, so it does
// not depend on what is pinned.
type index struct {
	dir  string
	size uint64 // entries indexed
	kept uint64 // those that are on disk
	// texts is how many entries, from the first on, have no document whose text is still to
	// be fetched.
	texts uint64
	// remade says that what was there could not be gone on from.
	remade bool
	// newer says why it ends before the tree does, nil if it need not: at the first entry
	// that this program does not know. A newer program goes on from there.
	newer error
	// settling has one error when the files, and then the file "indexed", are on disk; nil: they are.
	settling chan error
}

const (
	indexVersion = 5
	recordSize   = 16
	outputFiles  = 256 // the first ones
	recentFile   = 256
	rosterFile   = 257
	setsFile     = 258
	erasedFile   = 259
	fileCount    = 260
	// recentSize is how large the file "recent" is at most: every look-up reads it.
	recentSize = 2 << 20
	// indexStep is how many entries are indexed between two times that
	// "indexed" is written.
	indexStep = 1 << 16
)

func openIndex(dir string) (*index, error) {
	x := &index{dir: dir}
	text, err := os.ReadFile(x.watermark())
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	var version int
	var rules reading.Version
	_, err = fmt.Sscanf(string(text), markFormat, &version, &rules, &x.size, &x.texts)
	if err != nil || version != indexVersion || rules != reading.Newest {
		x.remade = true
		return x, x.reset()
	}
	x.kept = x.size
	return x, nil
}

// markFormat is the form of the file "indexed".
const markFormat = "version %d rules %d entries %d texts %d\n"

// later does something after all that was to be done before, and beside what the caller goes on with.
func (x *index) later(do func() error) {
	before, done := x.settling, make(chan error, 1)
	x.settling = done
	go func() {
		var err error
		if before != nil {
			err = <-before
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
}

// settled waits until all that was indexed is on disk.
func (x *index) settled() error {
	if x.settling == nil {
		return nil
	}
	err := <-x.settling
	x.settling = nil
	if err != nil { // on disk is what was there before
		x.size, x.texts = x.kept, 0
		return fmt.Errorf("keeping the index: %w", err)
	}
	x.kept = x.size
	return nil
}

// settle makes files durable, and then says durably that the index goes so far. Of those that
// were put in order, "recent" is not needed any more.
func (x *index) settle(files []*os.File, ordered bool, size uint64) {
	x.later(func() error {
		// Disks make many small files durable together, if asked at once.
		var group errgroup.Group
		group.SetLimit(64)
		for _, f := range files {
			group.Go(func() error { return errors.Join(f.Sync(), f.Close()) })
		}
		if err := errors.Join(group.Wait(), durable.SyncDir(x.dir)); err != nil || !ordered {
			return err
		}
		return durable.Remove(x.path(recentFile))
	})
	x.mark(size, x.texts)
}

// mark says how far the index goes, and the texts: to this program at once, and durably when all
// that was indexed is.
func (x *index) mark(size, texts uint64) {
	x.size, x.texts = size, texts
	x.later(func() error { return x.writeMark(size, texts) })
}

func (x *index) writeMark(size, texts uint64) error {
	return durable.WriteFile(x.watermark(), fmt.Appendf(nil, markFormat, indexVersion, reading.Newest, size, texts), 0o644)
}

func (x *index) watermark() string { return filepath.Join(x.dir, "indexed") }

func (x *index) path(file int) string {
	switch file {
	case recentFile:
		return filepath.Join(x.dir, "recent")
	case rosterFile:
		return filepath.Join(x.dir, "roster")
	case setsFile:
		return filepath.Join(x.dir, "sets")
	case erasedFile:
		return filepath.Join(x.dir, "erased")
	}
	return filepath.Join(x.dir, fmt.Sprintf("%02x", file))
}

// reset empties the index.
func (x *index) reset() error {
	if err := x.settled(); err != nil {
		return err
	}
	x.size, x.kept, x.texts = 0, 0, 0
	if err := durable.Remove(x.watermark()); err != nil {
		return err
	}
	for file := range fileCount {
		if err := os.Remove(x.path(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// records are what one part of the ledger adds to each file, and why that ends early,
// if it does.
type records struct {
	files [fileCount][]byte
	newer *reading.NewerError
}

// extend indexes the entries of the tree that are not indexed yet.
func (x *index) extend(ctx context.Context, tree *ledger.Tree, progress Progress) error {
	if x.size > tree.Size() { // of a mirror that was emptied
		if err := x.reset(); err != nil {
			return err
		}
	}
	x.newer = nil
	for x.size < tree.Size() && x.newer == nil {
		to := min((x.size/indexStep+1)*indexStep, tree.Size())
		if err := x.extendTo(ctx, tree, to, progress); err != nil {
			return err
		}
	}
	return nil
}

// covers reports, as a reading.NewerError or otherwise, that the index does not cover so
// many entries.
func (x *index) covers(size uint64) error {
	switch {
	case x.size >= size:
		return nil
	case x.newer != nil:
		return x.newer
	default:
		return fmt.Errorf("the index has %d of %d entries", x.size, size)
	}
}

func (x *index) extendTo(ctx context.Context, tree *ledger.Tree, to uint64, progress Progress) error {
	var files [fileCount][]byte
	var newer *reading.NewerError
	for from := x.size; from < to && newer == nil; {
		// One bundle for each processor at a time, put together in order.
		var parts []*records
		group, groupCtx := errgroup.WithContext(ctx)
		for range runtime.GOMAXPROCS(0) {
			if from >= to {
				break
			}
			part, first := new(records), from
			end := min((from/ledger.BundleWidth+1)*ledger.BundleWidth, to)
			parts = append(parts, part)
			group.Go(func() error { return part.collect(groupCtx, tree, first, end) })
			from = end
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, part := range parts {
			for file := range files {
				files[file] = append(files[file], part.files[file]...)
			}
			if newer = part.newer; newer != nil {
				to = newer.Index
				break
			}
		}
		progress("indexing", from, tree.Size())
	}
	if err := x.add(&files, to); err != nil {
		return err
	}
	if newer != nil {
		x.newer = newer
	}
	return nil
}

// add writes what the entries up to one add to each file.
func (x *index) add(files *[fileCount][]byte, to uint64) error {
	if err := x.settled(); err != nil { // of the step before
		return err
	}
	ordered, err := x.order(files)
	if err != nil {
		return err
	}
	var written []*os.File
	for file, data := range files {
		if len(data) == 0 {
			continue
		}
		f, err := appendRecords(x.path(file), data)
		if err != nil {
			return errors.Join(err, closeAll(written))
		}
		written = append(written, f)
	}
	x.settle(written, ordered, to)
	return nil
}

// order puts what is to be added to "recent", and what is in it, into the files of the outputs
// if it would be too large, and reports whether it did.
func (x *index) order(files *[fileCount][]byte) (ordered bool, err error) {
	recent, err := os.ReadFile(x.path(recentFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading index: %w", err)
	}
	if len(recent)+len(files[recentFile]) <= recentSize {
		return false, nil
	}
	for _, records := range [][]byte{recent, files[recentFile]} {
		for ; len(records) >= recordSize; records = records[recordSize:] {
			files[records[0]] = append(files[records[0]], records[:recordSize]...)
		}
	}
	files[recentFile] = nil
	return true, nil
}

// collect indexes entries of one bundle, up to the first that this program does not
// know. What breaks its rules makes no claim.
func (r *records) collect(ctx context.Context, tree *ledger.Tree, from, to uint64) error {
	for record, err := range tree.Records(ctx, from, to) {
		if err != nil {
			return err
		}
		entry, err := reading.Decode(record)
		var named *reading.Named
		if err == nil {
			named, err = reading.Peek(record.Index, entry)
		}
		if newer, ok := errors.AsType[*reading.NewerError](err); ok {
			r.newer = newer
			return nil
		}
		if err != nil {
			continue
		}
		switch {
		case entry.Kind == ledger.Erased:
			r.add(erasedFile, [8]byte{}, record.Index)
		case entry.Kind == ledger.PackageSet:
			r.add(setsFile, [8]byte{}, record.Index)
		case named.Roster:
			r.add(rosterFile, [8]byte{}, record.Index)
		}
		for _, id := range named.IDs() {
			r.add(recentFile, [8]byte(id[:8]), record.Index)
		}
	}
	return nil
}

func (r *records) add(file int, prefix [8]byte, index uint64) {
	r.files[file] = binary.BigEndian.AppendUint64(append(r.files[file], prefix[:]...), index)
}

// appendRecords appends to a file, which is still to be made durable. The end of a record that a
// crash cut off is overwritten.
func appendRecords(path string, data []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(data, info.Size()/recordSize*recordSize)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func closeAll(files []*os.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// lookup returns for each output the indices of all entries that may speak of
// it, in order.
func (x *index) lookup(ids []attestation.OutputID) ([][]uint64, error) {
	wanted := make(map[[8]byte][]uint64, len(ids))
	var files [outputFiles]bool
	for _, id := range ids {
		wanted[[8]byte(id[:8])], files[id[0]] = nil, true
	}
	for file, any := range files {
		if !any {
			continue
		}
		if err := x.find(file, wanted); err != nil {
			return nil, err
		}
	}
	if err := x.find(recentFile, wanted); err != nil {
		return nil, err
	}
	for prefix, entries := range wanted {
		slices.Sort(entries)
		wanted[prefix] = slices.Compact(entries)
	}
	found := make([][]uint64, len(ids))
	for i, id := range ids {
		found[i] = wanted[[8]byte(id[:8])]
	}
	return found, nil
}

// all returns the indices of all entries in a file that is not of outputs.
func (x *index) all(file int) ([]uint64, error) {
	wanted := map[[8]byte][]uint64{{}: nil}
	err := x.find(file, wanted)
	entries := wanted[[8]byte{}]
	slices.Sort(entries)
	return slices.Compact(entries), err
}

// roster returns the indices of all enrolments, revocations and erasures.
func (x *index) roster() ([]uint64, error) {
	changes, err := x.all(rosterFile)
	if err != nil {
		return nil, err
	}
	erasures, err := x.all(erasedFile)
	changes = append(changes, erasures...)
	slices.Sort(changes)
	return changes, err
}

// find adds the indices for the prefixes that are wanted of a file, some of them twice.
func (x *index) find(file int, wanted map[[8]byte][]uint64) error {
	data, err := os.ReadFile(x.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	for ; len(data) >= recordSize; data = data[recordSize:] {
		prefix := [8]byte(data)
		found, ok := wanted[prefix]
		if !ok {
			continue
		}
		if n := binary.BigEndian.Uint64(data[8:]); n < x.size {
			wanted[prefix] = append(found, n)
		}
	}
	return nil
}
