package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

// TestRecentIsPutInOrder: what there is too much of in "recent" is found where it was put, also
// if a crash left it in both places.
func TestRecentIsPutInOrder(t *testing.T) {
	x, err := openIndex(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name := func(n uint64) attestation.OutputID {
		return attestation.NewOutputID("generic", fmt.Sprintf("p/%d", n))
	}
	check := func(size uint64) {
		t.Helper()
		ids := []attestation.OutputID{name(0), name(size / 2), name(size - 1), name(size), name(0)}
		found, err := x.lookup(ids)
		if want := [][]uint64{{0}, {size / 2}, {size - 1}, nil, {0}}; err != nil || !cmp.Equal(found, want) {
			t.Errorf("%v, %v; want %v", found, err, want)
		}
	}
	const step = recentSize / recordSize / 4
	var before []byte // of the file, when it was fullest
	for size := uint64(0); size < 10*step; {
		var r records
		for range step {
			id := name(size)
			r.add(recentFile, [8]byte(id[:8]), size)
			size++
		}
		if err := x.add(&r.files, size); err != nil {
			t.Fatal(err)
		}
		check(size)
		if err := x.settled(); err != nil {
			t.Fatal(err)
		}
		check(size)
		if text, err := os.ReadFile(x.path(recentFile)); err == nil && len(text) > len(before) {
			before = text
		}
	}
	if len(before) != recentSize {
		t.Errorf("recent had %d bytes at most, want %d", len(before), recentSize)
	}
	if err := os.WriteFile(x.path(recentFile), before, 0o600); err != nil {
		t.Fatal(err)
	}
	check(10 * step)
	if err := x.reset(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(x.dir); err != nil || len(left) > 0 {
		t.Errorf("emptied, it has %v, %v", left, err)
	}
}

// TestIndexThatCannotBeKept: what could not be made durable is indexed again, and found once.
func TestIndexThatCannotBeKept(t *testing.T) {
	x, err := openIndex(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id := attestation.NewOutputID("nix", "/nix/store/x")
	extend := func() {
		t.Helper()
		var r records
		r.add(recentFile, [8]byte(id[:8]), 0)
		if err := x.add(&r.files, 1); err != nil {
			t.Fatal(err)
		}
	}
	inTheWay := filepath.Join(x.watermark(), "in", "the", "way")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	extend()
	if found, err := x.lookup([]attestation.OutputID{id}); err != nil || len(found[0]) != 1 {
		t.Errorf("before it is kept: %v, %v", found, err)
	}
	if err := x.settled(); err == nil || x.size != 0 {
		t.Errorf("error %v, %d entries", err, x.size)
	}
	if err := os.RemoveAll(x.watermark()); err != nil {
		t.Fatal(err)
	}
	extend()
	if err := x.settled(); err != nil || x.size != 1 {
		t.Errorf("error %v, %d entries", err, x.size)
	}
	again, err := openIndex(x.dir)
	if err != nil || again.size != 1 {
		t.Fatalf("%v, %d entries", err, again.size)
	}
	if found, err := again.lookup([]attestation.OutputID{id}); err != nil || len(found[0]) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}
