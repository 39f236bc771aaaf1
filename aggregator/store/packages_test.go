package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/store"
	"repronet.dev/divergence"
)

// many is a package of very many versions with 10 outputs each, all reproduced but one of each
// hundredth version.
func many(outputs int) *store.Batch {
	b := &store.Batch{}
	for i := range outputs {
		version := i / 10
		output := uint32(i)
		b.Outputs = append(b.Outputs, store.OutputName{
			Output: output, Ecosystem: "generic", Key: fmt.Sprintf("alice/many-%d^out%d", version, i%10), Build: fmt.Sprintf("alice/many-%d", version),
		})
		verdict := divergence.Reproduced
		if i%1000 == 0 {
			verdict = divergence.Diverged
		}
		b.Changes = append(b.Changes, store.Change{Output: output, Index: uint64(version), New: verdict})
	}
	return b
}

// TestLargePackage: a package with very many versions and outputs is counted whole, and what
// builders named who do not count, of whatever number, hides nothing of it and adds nothing.
func TestLargePackage(t *testing.T) {
	options, _ := database(t)
	tables := open(t, options).Current()
	ctx := t.Context()
	const versions, most = 2000, 20_000
	if err := tables.Write(ctx, many(10*versions)); err != nil {
		t.Fatal(err)
	}
	p := store.Package{Ecosystem: "generic", Name: "alice/many"}
	check := func(when string) {
		t.Helper()
		cells, err := tables.PackageCells(ctx, p, versions, most)
		if err != nil {
			t.Fatal(err)
		}
		var total store.Counts
		for _, c := range cells {
			for verdict, n := range c.Counts {
				total[verdict] += n
			}
		}
		want := store.Counts{divergence.Reproduced: 10*versions - versions/100, divergence.Diverged: versions / 100}
		if len(cells) != versions || total != want || cells[0].Version != "1999" {
			t.Errorf("%s: %d cells, the first of version %s, counts %v, want %v", when, len(cells), cells[0].Version, total, want)
		}
		outputs, err := tables.OutputsOfVersion(ctx, p, "100", versions, 5)
		if diff := cmp.Diff([]uint32{1009, 1008, 1007, 1006, 1005}, outputs); err != nil || diff != "" {
			t.Errorf("%s: the outputs of a version (-want +got): %v\n%s", when, err, diff)
		}
	}
	check("alone")
	flood := &store.Batch{}
	for i := range store.MaxPackageOutputs + 1000 { // so many that a limit would leave nothing else
		flood.Outputs = append(flood.Outputs, store.OutputName{
			Output: uint32(10*versions + i), Ecosystem: "generic", Key: fmt.Sprintf("alice/many-%d^more%d", 100+i, i), Build: fmt.Sprintf("alice/many-%d", 100+i),
		})
	}
	if err := tables.Write(ctx, flood); err != nil {
		t.Fatal(err)
	}
	check("with a flood of names that nobody who counts built")
	few, err := tables.PackageCells(ctx, p, versions, 3)
	if err != nil || len(few) != 3 {
		t.Errorf("%d cells, at most 3 were asked for, %v", len(few), err)
	}
}

// TestFillPackages: an index that has no packages yet is told them from its names, also if
// that is interrupted and begins again.
func TestFillPackages(t *testing.T) {
	options, conn := database(t)
	tables := open(t, options).Current()
	ctx := t.Context()
	if err := tables.Write(ctx, many(70_000)); err != nil { // more than are written at a time
		t.Fatal(err)
	}
	list := func() []store.PackageCount {
		t.Helper()
		found, err := tables.Packages(ctx, "", store.Package{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := list()
	if len(want) != 1 || want[0].Outputs != 70_000 || want[0].Versions != 7000 {
		t.Fatalf("packages: %+v", want)
	}
	name := generations(ctx, t, conn)[0]
	for _, left := range []string{"0", "100"} { // by one that was interrupted
		for _, statement := range []string{
			"ALTER TABLE " + name + ".package_outputs DELETE WHERE output >= " + left + " SETTINGS mutations_sync = 1",
			"TRUNCATE TABLE " + name + ".packages",
			"CREATE TABLE IF NOT EXISTS " + name + ".packages_unfilled (package UInt8) ENGINE = Memory",
		} {
			if err := conn.Exec(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		if unfilled, err := tables.UnfilledPackages(ctx); err != nil || !unfilled {
			t.Fatalf("unfilled: %v, %v", unfilled, err)
		}
		if err := tables.FillPackages(ctx); err != nil {
			t.Fatal(err)
		}
		if unfilled, err := tables.UnfilledPackages(ctx); err != nil || unfilled {
			t.Errorf("after filling in, unfilled: %v, %v", unfilled, err)
		}
		if diff := cmp.Diff(want, list()); diff != "" {
			t.Errorf("filled in (-want +got):\n%s", diff)
		}
	}
}
