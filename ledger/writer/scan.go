package writer

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
)

// A scan compares all files of a log's first size entries with each other and with
// the root that they must have.
//
// The hashes of 256 entries are in three places: they follow from the entry bundle,
// are in the tile of leaf hashes, and what they come to is in the tile above. Two of
// the three decide; the root decides about all.
type scan struct {
	disk
	size     uint64
	root     tlog.Hash
	progress func(entries uint64)
	// mend has tiles that are wrong written anew.
	mend bool

	edge    *edge       // as the files make it
	above   []tlog.Hash // of the tile above that was read last
	aboveAt uint64      // its number plus one
	err     error       // of writing

	// What was found. A bundle cannot be computed from anything else, a tile can.
	bundles, tiles []brokenError
}

// run reads everything. It reports whether the files make up the tree with the root;
// then what it found is certain.
func (s *scan) run(ctx context.Context) (proven bool, err error) {
	s.edge = &edge{}
	for n := range s.size / ledger.BundleWidth {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := s.complete(n); err != nil {
			return false, err
		}
		if s.progress != nil {
			s.progress((n + 1) * ledger.BundleWidth)
		}
	}
	if err := s.rest(); err != nil {
		return false, err
	}
	for _, f := range s.edge.partials() {
		s.compare(f)
	}
	if s.progress != nil {
		s.progress(s.size)
	}
	return s.edge.root() == s.root, s.err
}

// complete looks at a complete bundle.
func (s *scan) complete(n uint64) error {
	entries, bundleErr := s.bundle(n, ledger.BundleWidth)
	tile, tileErr := s.tile(0, n, ledger.BundleWidth)
	if err := errors.Join(unlessBroken(bundleErr), unlessBroken(tileErr)); err != nil {
		return err
	}
	above, err := s.hashAbove(n)
	if err != nil {
		return err
	}
	leaves := leafHashes(entries)
	var chosen []tlog.Hash
	switch {
	case leaves != nil && (tile == nil || equal(leaves, tile) || above == nil || perfect(leaves) == *above):
		chosen = leaves
	case tile != nil && (leaves == nil || above != nil && perfect(tile) == *above):
		chosen = tile
	case leaves != nil:
		chosen = leaves // all three differ: the root will not be right
	}
	path := ledger.TilePath(-1, n, ledger.BundleWidth)
	switch {
	case bundleErr != nil:
		s.broken(&s.bundles, path, bundleErr)
	case !equal(leaves, chosen):
		s.broken(&s.bundles, path, errOther)
	}
	if chosen == nil { // both are gone; the tile above may know what they came to
		s.broken(&s.tiles, ledger.TilePath(0, n, ledger.BundleWidth), tileErr)
		var hash tlog.Hash
		if above != nil {
			hash = *above
		}
		s.edge.pushComplete(hash, s.compare)
		return nil
	}
	for _, h := range chosen {
		s.edge.push(h, s.compare)
	}
	return nil
}

// rest looks at the bundle that is not complete.
func (s *scan) rest() error {
	n, width := s.size/ledger.BundleWidth, int(s.size%ledger.BundleWidth)
	if width == 0 {
		return nil
	}
	entries, bundleErr := s.bundle(n, width)
	tile, tileErr := s.tile(0, n, width)
	if err := errors.Join(unlessBroken(bundleErr), unlessBroken(tileErr)); err != nil {
		return err
	}
	whole := s.edge.clone()
	for _, e := range entries {
		whole.add(e, func(file) {})
	}
	if bundleErr == nil && (whole.root() == s.root || tile == nil) {
		s.edge = whole
		return nil
	}
	for _, h := range tile {
		s.edge.push(h, func(file) {})
	}
	if bundleErr == nil {
		bundleErr = errOther
	}
	s.broken(&s.bundles, ledger.TilePath(-1, n, width), bundleErr)
	if tile == nil {
		s.broken(&s.tiles, ledger.TilePath(0, n, width), tileErr)
	}
	return nil
}

// hashAbove is what the tile above has of a complete bundle; nil if nothing.
func (s *scan) hashAbove(bundle uint64) (*tlog.Hash, error) {
	n := bundle / ledger.BundleWidth
	if s.aboveAt != n+1 {
		width := min(ledger.BundleWidth, s.size/ledger.BundleWidth-n*ledger.BundleWidth)
		hashes, err := s.tile(1, n, int(width))
		if err := unlessBroken(err); err != nil {
			return nil, err
		}
		s.above, s.aboveAt = hashes, n+1
	}
	if i := bundle % ledger.BundleWidth; i < uint64(len(s.above)) {
		return &s.above[i], nil
	}
	return nil, nil //nolint:nilnil // not known
}

// compare looks whether a tile is as the entries make it.
func (s *scan) compare(f file) {
	if ledger.TilePath(-1, s.size/ledger.BundleWidth, max(1, int(s.size%ledger.BundleWidth))) == f.path {
		return // the bundle is what it was read from
	}
	stored, err := s.read(f.path, ledger.MaxBundleSize)
	if whole, _, partial := strings.Cut(f.path, ".p/"); partial && errors.Is(err, fs.ErrNotExist) {
		if stored, err = s.read(whole, ledger.MaxBundleSize); err == nil {
			stored = stored[:min(len(stored), len(f.data))]
		}
	}
	if err == nil && bytes.Equal(stored, f.data) {
		return
	}
	if err == nil {
		err = errOther
	}
	s.broken(&s.tiles, f.path, err)
	if s.mend {
		s.err = errors.Join(s.err, s.write([]file{f}))
	}
}

var errOther = errors.New("it is not what the tree has there")

func (s *scan) broken(list *[]brokenError, path string, err error) {
	what := err.Error()
	var b *brokenError
	switch {
	case errors.As(err, &b):
		what = b.what
	case errors.Is(err, fs.ErrNotExist):
		what = "it is not there"
	}
	*list = append(*list, brokenError{path, what})
}

// unlessBroken returns an error that does not say that a file is broken.
func unlessBroken(err error) error {
	if _, ok := errors.AsType[*brokenError](err); ok {
		return nil
	}
	return err
}

func leafHashes(entries [][]byte) []tlog.Hash {
	if entries == nil {
		return nil
	}
	hashes := make([]tlog.Hash, len(entries))
	for i, e := range entries {
		hashes[i] = tlog.RecordHash(e)
	}
	return hashes
}

func equal(a, b []tlog.Hash) bool {
	return a != nil && b != nil && slices.Equal(a, b)
}
