package verify

import (
	"os"
	"path/filepath"
	"testing"

	"repronet.dev/attestation"
)

// TestIndexThatCannotBeKept: what could not be made durable is indexed again, and found once.
func TestIndexThatCannotBeKept(t *testing.T) {
	x, err := openIndex(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id := attestation.NewOutputID("nix", "/nix/store/x")
	file, prefix := address(id)
	extend := func() {
		t.Helper()
		var r records
		r.add(file, prefix, 0)
		f, err := appendRecords(x.path(file), r.files[file])
		if err != nil {
			t.Fatal(err)
		}
		x.settle([]*os.File{f}, 1)
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
