package writer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// fill appends entries to a log, many at once.
func fill(t testing.TB, log *writer.Log, from, to int) {
	t.Helper()
	var group sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := from; i < to; i++ {
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			if _, err := log.Append(t.Context(), ledger.Attestation, fmt.Appendf(nil, "entry %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// written is the size of a log of tests: two complete bundles and a part of a third.
const written = 700

// theLog is made once: a log, and a copy of it as it was with 600 entries.
var theLog struct {
	once       sync.Once
	dir, older string
}

// writeLog returns a log that a test may change, and an older copy of it, which it
// may not.
func writeLog(t testing.TB) (dir, older string) {
	t.Helper()
	theLog.once.Do(func() {
		root, err := os.MkdirTemp("", "log-") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		theLog.dir, theLog.older = filepath.Join(root, "whole"), filepath.Join(root, "older")
		if err := os.Mkdir(theLog.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		log := open(t, theLog.dir)
		fill(t, log, 0, 600)
		closeLog(t, log)
		if err := os.CopyFS(theLog.older, os.DirFS(filepath.Join(theLog.dir, "log"))); err != nil {
			t.Fatal(err)
		}
		log = open(t, theLog.dir)
		fill(t, log, 600, written)
		closeLog(t, log)
	})
	return copied(t, theLog.dir), theLog.older
}

func TestMain(m *testing.M) {
	status := m.Run()
	if theLog.dir != "" {
		_ = os.RemoveAll(filepath.Dir(theLog.dir)) // of no use to the next run
	}
	os.Exit(status)
}

// change changes a file of a log.
func change(t testing.TB, dir, name string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, "log", name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flipped(data []byte) []byte {
	data[len(data)/2] ^= 0x10
	return data
}

func cut(data []byte) []byte { return data[:len(data)/2] }

func remove(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, "log", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// replace puts files of another copy of the log in the place of its own.
func replace(t testing.TB, dir, other string, names ...string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		change(t, dir, name, func([]byte) []byte { return data })
	}
}

const (
	state        = ".state/treeState"
	edgeBundle   = "tile/entries/002.p/188"
	edgeTile     = "tile/0/002.p/188"
	edgeAbove    = "tile/1/000.p/2"
	wholeBundle  = "tile/entries/001"
	wholeTile    = "tile/0/001"
	checkpoint   = "checkpoint"
	everything   = "tile"
	furtherState = `{"size":900,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`
)

// damages are what can happen to a log that is not being written. Refused names the
// file that a start refuses for; "" if it goes on by itself.
func damages(older string) map[string]struct {
	do      func(t testing.TB, dir string)
	refused string
} {
	type damage = struct {
		do      func(t testing.TB, dir string)
		refused string
	}
	to := func(name string, f func([]byte) []byte) func(testing.TB, string) {
		return func(t testing.TB, dir string) { change(t, dir, name, f) }
	}
	gone := func(names ...string) func(testing.TB, string) {
		return func(t testing.TB, dir string) { remove(t, dir, names...) }
	}
	return map[string]damage{
		"nothing":                         {func(testing.TB, string) {}, ""},
		"no dot-files":                    {gone(".state"), ""},
		"an empty state":                  {to(state, func([]byte) []byte { return nil }), ""},
		"a flipped byte in the state":     {to(state, flipped), ""},
		"a state of more entries":         {to(state, func([]byte) []byte { return []byte(furtherState) }), "tile/entries/002"},
		"a state of nothing":              {to(state, func([]byte) []byte { return emptyState() }), ""},
		"an older state":                  {func(t testing.TB, dir string) { replace(t, dir, older, state) }, ""},
		"an older state and checkpoint":   {func(t testing.TB, dir string) { replace(t, dir, older, state, checkpoint) }, ""},
		"an older checkpoint":             {func(t testing.TB, dir string) { replace(t, dir, older, checkpoint) }, ""},
		"a flipped byte in the tile":      {to(edgeTile, flipped), ""},
		"a truncated tile":                {to(edgeTile, cut), ""},
		"no tile":                         {gone(edgeTile), ""},
		"a flipped byte above":            {to(edgeAbove, flipped), ""},
		"no tile above, no dot-files":     {gone(edgeAbove, ".state"), ""},
		"no tiles of hashes":              {gone("tile/0", "tile/1"), ""},
		"no tiles of hashes, no state":    {gone("tile/0", "tile/1", ".state"), ""},
		"a flipped byte in the entries":   {to(edgeBundle, flipped), edgeBundle},
		"truncated entries":               {to(edgeBundle, cut), edgeBundle},
		"no entries":                      {gone(edgeBundle), edgeBundle},
		"truncated entries, no state":     {func(t testing.TB, dir string) { change(t, dir, edgeBundle, cut); remove(t, dir, ".state") }, edgeBundle},
		"no checkpoint":                   {gone(checkpoint), ""},
		"no checkpoint, no state":         {gone(checkpoint, ".state"), checkpoint},
		"a flipped byte, no checkpoint":   {func(t testing.TB, dir string) { change(t, dir, edgeTile, flipped); remove(t, dir, checkpoint) }, ""},
		"a flipped byte in the signature": {to(checkpoint, flipped), checkpoint},
		"a truncated checkpoint":          {to(checkpoint, cut), checkpoint},
		"nothing but the checkpoint":      {gone(everything, ".state"), "tile/entries/000"},
		"an older ledger under the checkpoint": {func(t testing.TB, dir string) {
			text, err := os.ReadFile(filepath.Join(dir, "log", checkpoint))
			if err != nil {
				t.Fatal(err)
			}
			remove(t, dir, everything, ".state")
			if err := os.CopyFS(filepath.Join(dir, "log", "tile"), os.DirFS(filepath.Join(older, "tile"))); err != nil {
				t.Fatal(err)
			}
			change(t, dir, checkpoint, func([]byte) []byte { return text })
		}, "tile/entries/002"},
	}
}

func emptyState() []byte {
	return []byte(`{"size":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`)
}

// TestDamage starts on damaged logs. Either all of the log is there and it goes on
// from what was published, or the start refuses, names the file, and signs nothing.
func TestDamage(t *testing.T) {
	source, older := writeLog(t)
	key := newKey(t, source)
	before, err := ledger.NewReader(ledger.Dir(filepath.Join(source, "log")), key.Verifier()).Checkpoint(t.Context())
	if err != nil || before.Size != written {
		t.Fatalf("the log that was written: %+v, %v", before, err)
	}
	want := checkLog(t, source)
	for name, damage := range damages(older) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, source)
			damage.do(t, dir)
			files := snapshot(t, dir)
			log, err := writer.Open(t.Context(), writer.Config{
				Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			})
			if damage.refused != "" {
				refused, ok := errors.AsType[*writer.DamageError](err)
				if !ok {
					t.Fatalf("opened: %v, want a DamageError", err)
				}
				if !strings.Contains(err.Error(), damage.refused) || !strings.Contains(err.Error(), "repronet-aggregator ledger repair") {
					t.Errorf("the start says %v, which should name %s and what to do", refused, damage.refused)
				}
				if diff := cmp.Diff(files, snapshot(t, dir)); diff != "" {
					t.Errorf("a start that was refused changed files (-before +after):\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			fill(t, log, written, written+20)
			closeLog(t, log)
			got := checkLog(t, dir)
			if diff := cmp.Diff(want, got[:min(len(got), written)]); diff != "" || len(got) != written+20 {
				t.Errorf("%d entries; what was written is not there (-want +got):\n%s", len(got), diff)
			}
			reader := ledger.NewReader(ledger.Dir(filepath.Join(dir, "log")), key.Verifier())
			after, err := reader.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := reader.Tree(after).CheckContinues(context.Background(), before); err != nil {
				t.Errorf("another history was signed: %v", err)
			}
		})
	}
}

// snapshot is the hash of each of a log's files, without those that only lock.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := filepath.Join(dir, "log")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, root)] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestKnownStates starts on logs that lack what others know of them.
func TestKnownStates(t *testing.T) {
	dir, older := writeLog(t)
	newer := filepath.Join(dir, "log")
	local := ledger.NewReader(ledger.Dir(newer), nil).Local(written)
	tree := func(size uint64) writer.Tree {
		root, err := local.Root(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		return writer.Tree{Size: size, Root: root, Source: "the index"}
	}
	at700, at650 := tree(written), tree(512)
	other := at700
	other.Root[0] ^= 1
	for name, test := range map[string]struct {
		log     string
		known   writer.Tree
		refused string
	}{
		"an older log":        {older, at700, "the index was made from 700 entries, and only 600 are here"},
		"the same log":        {newer, at700, ""},
		"a log that is ahead": {newer, at650, ""},
		"an older state":      {older, at650, ""},
		"of no entries":       {newer, writer.Tree{Source: "the index"}, ""},
		"behind the checkpoint, which was signed": {newer, other, ""},
	} {
		t.Run(name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "log")
			if err := os.CopyFS(copied, os.DirFS(test.log)); err != nil {
				t.Fatal(err)
			}
			log, err := writer.Open(t.Context(), writer.Config{
				Dir: copied, Key: newKey(t, dir), Known: func(context.Context) []writer.Tree { return []writer.Tree{test.known} },
			})
			if err == nil {
				defer closeLog(t, log)
			}
			if test.refused == "" && err != nil || test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)) {
				t.Errorf("opened: %v, want %q", err, test.refused)
			}
		})
	}
}

// TestBrokenOff starts where a batch was being written when the process ended.
func TestBrokenOff(t *testing.T) {
	for name, unfinished := range map[string]struct {
		keep []string // what was written of the batch
		want int      // entries that the log has
	}{
		"only the entries":           {[]string{edgeBundle}, 600},
		"the entries and their tile": {[]string{edgeBundle, edgeTile}, written},
	} {
		t.Run(name, func(t *testing.T) {
			dir, older := writeLog(t)
			kept := map[string][]byte{}
			for _, name := range unfinished.keep {
				data, err := os.ReadFile(filepath.Join(dir, "log", name))
				if err != nil {
					t.Fatal(err)
				}
				kept[name] = data
			}
			remove(t, dir, "")
			if err := os.CopyFS(filepath.Join(dir, "log"), os.DirFS(older)); err != nil {
				t.Fatal(err)
			}
			for name, data := range kept {
				if err := os.WriteFile(filepath.Join(dir, "log", name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log := open(t, dir)
			if got := log.Size(); got != uint64(unfinished.want) {
				t.Errorf("%d entries, want %d", got, unfinished.want)
			}
			fill(t, log, 0, 200)
			closeLog(t, log)
			if records := checkLog(t, dir); len(records) != unfinished.want+200 {
				t.Errorf("%d entries, want %d", len(records), unfinished.want+200)
			}
		})
	}
}
