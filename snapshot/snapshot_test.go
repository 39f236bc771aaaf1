package snapshot_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/replay"
	"repronet.dev/snapshot"
	"repronet.dev/snapshot/snapshottest"
	"repronet.dev/verify/verifytest"
)

// TestMake: the rows of every view say what the ledger does.
func TestMake(t *testing.T) {
	w := newWorld(t)
	dir := w.make(w.config(filepath.Join(t.TempDir(), "snapshot")))
	if signed, err := snapshot.Check(dir, w.Key.Verifier()); err != nil || signed.Size != w.Publish().Size {
		t.Fatalf("%+v, %v", signed, err)
	}
	observations := snapshottest.Rows[snapshot.Observation](t, dir, "observations")
	for view, counts := range map[string][2]int{
		"observations": {len(observations), 12 + 8 + 4 + 2 + 1},
		"withdrawals":  {len(snapshottest.Rows[snapshot.Withdrawal](t, dir, "withdrawals")), 1},
		"failures":     {len(snapshottest.Rows[snapshot.Failure](t, dir, "failures")), 2},
		"environments": {len(snapshottest.Rows[snapshot.Environment](t, dir, "environments")), 4},
		"outputs":      {len(snapshottest.Rows[snapshot.Output](t, dir, "outputs")), 12 + 1 + 1},
		"builders":     {len(snapshottest.Rows[snapshot.Builder](t, dir, "builders")), 4},
		"operators":    {len(snapshottest.Rows[snapshot.Operator](t, dir, "operators")), 4},
		"sets":         {len(snapshottest.Rows[snapshot.Set](t, dir, "sets")), 2},
		"members":      {len(snapshottest.Rows[snapshot.Member](t, dir, "members")), 5},
		"edges":        {len(snapshottest.Rows[snapshot.Edge](t, dir, "edges")), 2},
	} {
		if counts[0] != counts[1] {
			t.Errorf("%s: %d rows, want %d", view, counts[0], counts[1])
		}
	}
	verdicts := map[string]int{}
	for _, v := range snapshottest.Rows[snapshot.Verdict](t, dir, "verdicts") {
		verdicts[v.Verdict+" "+v.Shape]++
	}
	// Of eve nothing counts from entry 3 on.
	if diff := cmp.Diff(map[string]int{"reproduced ": 8, "diverged scatter": 4, "single ": 1, "unbuilt ": 1}, verdicts); diff != "" {
		t.Error(diff)
	}
	for _, o := range observations {
		if !strings.HasPrefix(o.Output, "/nix") {
			if !o.Document || o.SignedAt == 0 || o.FinishedAt != 0 || o.Digest != strings.Repeat("ab", 32) || o.Ecosystem != "release" {
				t.Errorf("a document's observation: %+v", o)
			}
			continue
		}
		if o.Document || o.FinishedAt == 0 || len(o.Environment) != 40 || o.Occasion != "build" || len(o.InputsDigest) != 64 || o.ReceivedAt < 1e12 {
			t.Errorf("a statement's observation: %+v", o)
		}
	}
	var changes []snapshot.Change
	for _, c := range snapshottest.Rows[snapshot.Change](t, dir, "changes") {
		if c.ReceivedAt = 0; c.Output == name(8) {
			changes = append(changes, c)
		}
	}
	if diff := cmp.Diff([]snapshot.Change{
		{Ecosystem: "nix", Output: name(8), Index: 4, Old: "unbuilt", New: "single"}, {Ecosystem: "nix", Output: name(8), Index: 7, Old: "single", New: "diverged"},
	}, changes); diff != "" {
		t.Error(diff)
	}
	for _, m := range snapshottest.Rows[snapshot.Member](t, dir, "members") {
		if m.Output == name(1) && m.Revision == "1" && (m.Attribute != "hello" || len(m.Maintainers) != 2 || m.Build != name(1)+".drv" || m.Fixed) {
			t.Errorf("a member: %+v", m)
		}
	}
}

// TestSameBytes: whoever has the ledger makes the same bytes, also with an earlier
// snapshot beside it, of which the months that are over are kept.
func TestSameBytes(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	w.SetAhead(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 1, 0, time.UTC).Sub(now))
	w.Fill(1, "the month is over")
	first := w.make(w.config(filepath.Join(t.TempDir(), "first")))
	w.say(w.alice, attestation.Rebuild, 4, 30, 4)
	second := w.make(w.config(filepath.Join(t.TempDir(), "second")))

	config := w.config(filepath.Join(filepath.Dir(first), "third"))
	config.Previous, config.Replay.Workers = first, 1
	third := w.make(config)
	for _, path := range snapshottest.List(t, second) {
		if sum(t, filepath.Join(second, path)) != sum(t, filepath.Join(third, path)) {
			t.Errorf("%s differs", path)
		}
	}
	old := "observations/nix/" + now.Format("2006-01") + ".parquet"
	if !sameFile(t, filepath.Join(first, old), filepath.Join(third, old)) || sameFile(t, filepath.Join(first, old), filepath.Join(second, old)) {
		t.Error("a month that is over was not kept, or kept where nothing was to be kept of")
	}
	if same, err := snapshot.Compare(t.Context(), third, second); !same || err != nil {
		t.Errorf("%v, %v", same, err)
	}

	// A file that was damaged meanwhile is not kept.
	w.write(filepath.Join(first, old), "damaged")
	config.Dir = filepath.Join(filepath.Dir(first), "fourth")
	if same, err := snapshot.Compare(t.Context(), w.make(config), second); !same || err != nil {
		t.Errorf("%v, %v", same, err)
	}
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

// TestForged: whatever is not what the ledger's key signed is named.
func TestForged(t *testing.T) {
	w := newWorld(t)
	whole := w.make(w.config(filepath.Join(t.TempDir(), "snapshot")))
	for what, test := range map[string]struct {
		forge func(dir string)
		want  string
	}{
		"a byte":             {func(dir string) { w.write(filepath.Join(dir, "builders.parquet"), "forged") }, "builders.parquet is not what was signed"},
		"a file more":        {func(dir string) { w.write(filepath.Join(dir, "more.parquet"), "") }, "more.parquet is not in SHA256SUMS"},
		"a file less":        {func(dir string) { _ = os.Remove(filepath.Join(dir, "LICENSE")) }, "LICENSE is missing"},
		"a link":             {func(dir string) { relink(t, dir) }, "sets.parquet is not in SHA256SUMS, or is no file"},
		"no signature":       {func(dir string) { _ = os.Remove(filepath.Join(dir, snapshot.SignatureFile)) }, "nobody signed it"},
		"another signature":  {func(dir string) { w.otherKey(t, dir) }, "SHA256SUMS.note"},
		"another checkpoint": {func(dir string) { w.otherCheckpoint(dir) }, "its checkpoint is of"},
		"sums":               {func(dir string) { w.write(filepath.Join(dir, snapshot.SumsFile), "") }, "SHA256SUMS is not what was signed"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := copyOf(t, whole)
			test.forge(dir)
			if _, err := snapshot.Check(dir, w.Key.Verifier()); !errors.Is(err, snapshot.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// copyOf copies a snapshot, to be changed.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func relink(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "sets.parquet")
	if err := errors.Join(os.Rename(path, filepath.Join(t.TempDir(), "sets")), os.Symlink("/dev/zero", path)); err != nil {
		t.Fatal(err)
	}
}

// otherKey puts a signature of a stranger's key in place of the ledger's.
func (w *world) otherKey(t *testing.T, dir string) {
	t.Helper()
	other := &world{Ledger: verifytest.NewLedger(t), t: t}
	other.Enrol("stranger")
	stranger := other.make(other.config(filepath.Join(t.TempDir(), "snapshot")))
	w.write(filepath.Join(dir, snapshot.SignatureFile), string(w.read(filepath.Join(stranger, snapshot.SignatureFile))))
}

// otherCheckpoint puts a later state of the ledger beside a snapshot.
func (w *world) otherCheckpoint(dir string) {
	w.Fill(1, "later")
	w.write(filepath.Join(dir, snapshot.CheckpointFile), string(w.Publish().Text))
}

// TestChangedValue: one value that does not follow from the ledger is named, though the
// ledger's own key signed it.
func TestChangedValue(t *testing.T) {
	w := newWorld(t)
	config := w.config(filepath.Join(t.TempDir(), "ours"))
	config.Key, config.Checkpoint = nil, nil // as anybody makes it
	ours := w.make(config)
	whole := w.make(w.config(filepath.Join(t.TempDir(), "theirs")))
	for what, test := range map[string]struct {
		change func(dir string)
		want   string
	}{
		"a verdict": {func(dir string) {
			snapshottest.Change(t, filepath.Join(dir, "verdicts/nix.parquet"), func(rows []snapshot.Verdict) []snapshot.Verdict {
				rows[3].Operators++
				return rows
			})
		}, "row 4 (output /nix/store/"},
		"a digest": {func(dir string) {
			path := filepath.Join("observations/nix", time.Now().UTC().Format("2006-01")+".parquet")
			snapshottest.Change(t, filepath.Join(dir, path), func(rows []snapshot.Observation) []snapshot.Observation {
				rows[7].Digest = strings.Repeat("0", 64)
				return rows
			})
		}, "): digest: the ledger makes 01"},
		"a row less": {func(dir string) {
			snapshottest.Change(t, filepath.Join(dir, "sets.parquet"), func(rows []snapshot.Set) []snapshot.Set { return rows[:1] })
		}, "sets.parquet: rows: the ledger makes 2, published is 1"},
		"another column": {func(dir string) {
			snapshottest.Change(t, filepath.Join(dir, "edges", "nix", time.Now().UTC().Format("2006-01")+".parquet"), func([]snapshot.Set) []struct{ A string } {
				return []struct{ A string }{{"a"}}
			})
		}, "columns: the ledger makes the documented ones, published is others"},
		"no Parquet":  {func(dir string) { w.write(filepath.Join(dir, "builders.parquet"), "PAR1 nothing PAR1") }, "builders.parquet: form: the ledger makes a file of Parquet, published is unreadable"},
		"a file more": {func(dir string) { w.write(filepath.Join(dir, "more"), "") }, "more: file: the ledger makes none, published is one"},
		"a citation":  {func(dir string) { w.write(filepath.Join(dir, snapshot.CitationFile), "title: mine\n") }, "CITATION.cff: text"},
	} {
		t.Run(what, func(t *testing.T) {
			theirs := copyOf(t, whole)
			test.change(theirs)
			snapshottest.Sign(t, theirs, w.Key)
			if _, err := snapshot.Check(theirs, w.Key.Verifier()); err != nil {
				t.Fatal(err)
			}
			_, err := snapshot.Compare(t.Context(), ours, theirs)
			if _, ok := errors.AsType[*replay.Difference](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}

	// The same rows in other bytes are no difference: another program wrote them.
	theirs := copyOf(t, whole)
	snapshottest.Change(t, filepath.Join(theirs, "builders.parquet"), func(rows []snapshot.Builder) []snapshot.Builder { return rows })
	snapshottest.Sign(t, theirs, w.Key)
	if same, err := snapshot.Compare(t.Context(), ours, theirs); err != nil || same {
		t.Errorf("%v, %v", same, err)
	}
}

// TestBrokenOff: what is broken off leaves nothing behind.
func TestBrokenOff(t *testing.T) {
	w := newWorld(t)
	parent := t.TempDir()
	config := w.config(filepath.Join(parent, "snapshot"))
	ctx, cancel := context.WithCancel(t.Context())
	config.Replay.Progress = func(work string, _, _ uint64) {
		if work == "judging" {
			cancel()
		}
	}
	if _, err := snapshot.Make(ctx, config); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	if left := snapshottest.List(t, parent); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	config.Replay.Progress = nil
	w.make(config)
	if _, err := snapshot.Make(t.Context(), config); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second one in its place: %v", err)
	}
}

// TestFullDisk: a disk that becomes full leaves the earlier snapshot, and nothing of the
// new one.
func TestFullDisk(t *testing.T) {
	needtest.Root(t, "mount a small file system")
	w := newWorld(t)
	parent := t.TempDir()
	ctx := context.WithoutCancel(t.Context())
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "size=1m", "none", parent).CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	t.Cleanup(func() {
		if out, err := exec.CommandContext(ctx, "umount", "-l", parent).CombinedOutput(); err != nil {
			t.Errorf("%s, %v", out, err)
		}
	})
	first := w.make(w.config(filepath.Join(parent, "first")))
	for n := range 6 { // with nothing that compresses
		w.sayRandom(w.alice, 300*n, 300*(n+1))
	}
	config := w.config(filepath.Join(parent, "second"))
	if _, err := snapshot.Make(t.Context(), config); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := snapshot.Check(first, w.Key.Verifier()); err != nil {
		t.Errorf("the earlier snapshot: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
