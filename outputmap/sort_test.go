package outputmap

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

// shuffled adds a map's pairs to a sorter that holds few in memory, entry by
// entry as a log would.
func shuffled(t *testing.T, m naive, memory int, from, to uint64) *Sorter {
	t.Helper()
	s := &Sorter{dir: t.TempDir(), memory: memory}
	t.Cleanup(func() { s.Close() })
	entries := map[uint64][]attestation.OutputID{}
	for key, indices := range m {
		for _, index := range indices {
			if from <= index && index < to {
				entries[index] = append(entries[index], key)
			}
		}
	}
	for index, keys := range entries {
		if err := s.Add(index, keys...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSorter(t *testing.T) {
	m, _ := random(rand.New(rand.NewPCG(2, 2)), 700)
	want := collect(t, m.pairs())
	for _, memory := range []int{1, 2, 100, len(want) - 1, len(want), len(want) + 1} {
		s := shuffled(t, m, memory, 0, 1<<60)
		for range 2 { // it can be asked again
			if diff := cmp.Diff(want, collect(t, s.Pairs(nil))); diff != "" {
				t.Fatalf("%d in memory (-want +got):\n%s", memory, diff)
			}
		}
		for range s.Pairs(nil) {
			break // must not yield again
		}
		if files, err := os.ReadDir(s.dir); err != nil || len(files) > 0 {
			t.Errorf("%d in memory: left %v, %v", memory, files, err)
		}
	}
	if pairs := collect(t, NewSorter(t.TempDir()).Pairs(nil)); len(pairs) > 0 {
		t.Errorf("nothing was added, and it yields %v", pairs)
	}
}

// TestGrow builds maps from the one before and the entries since, which must be
// those that are built from the beginning.
func TestGrow(t *testing.T) {
	m, size := random(rand.New(rand.NewPCG(3, 3)), 900)
	var indices []uint64
	for _, list := range m {
		indices = append(indices, list...)
	}
	slices.Sort(indices)
	var older *Snapshot
	from := uint64(0)
	for _, to := range []uint64{0, indices[1], indices[len(indices)/2], indices[len(indices)/2], size} {
		until := naive{}
		for key, list := range m {
			for _, index := range list {
				if index < to {
					until[key] = append(until[key], index)
				}
			}
		}
		s := mustBuild(t, shuffled(t, m, 50, from, to).Pairs(older), to)
		if want := until.root(to); s.Root() != want {
			t.Fatalf("map of %d entries: root %v, want %v", to, s.Root(), want)
		}
		older, from = s, to
	}
}

func TestSorterWithoutDirectory(t *testing.T) {
	s := &Sorter{dir: t.TempDir() + "/missing", memory: 1}
	if err := s.Add(1, key(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(2, key(2)); err == nil {
		t.Error("pairs went nowhere")
	}
	spilled := &Sorter{dir: t.TempDir(), memory: 1}
	if err := spilled.Add(1, key(1), key(2)); err != nil {
		t.Fatal(err)
	}
	spilled.Close()
	if _, err := Sum(spilled.Pairs(nil), 5); err == nil {
		t.Error("a map of pairs that could not be read")
	}
}
