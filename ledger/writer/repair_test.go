package writer_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/needtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

func check(t testing.TB, dir string) *writer.Report {
	t.Helper()
	report, err := writer.Check(t.Context(), filepath.Join(dir, "log"), newKey(t, dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// copied returns a copy of a log with its key.
func copied(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "log.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRepair checks damaged logs, repairs them without and then with a copy, and
// looks for everything.
func TestRepair(t *testing.T) {
	source, older := writeLog(t)
	want := checkLog(t, source)
	if report := check(t, source); len(report.Findings) > 0 || report.Entries != written || report.Checkpoint != written {
		t.Fatalf("a whole log: %+v", report)
	}
	tests := damages(older)
	for name, do := range map[string]func(t testing.TB, dir string){
		"a flipped byte in old entries": func(t testing.TB, dir string) { change(t, dir, wholeBundle, flipped) },
		"a flipped byte in an old tile": func(t testing.TB, dir string) { change(t, dir, wholeTile, flipped) },
		"old entries and their tile":    func(t testing.TB, dir string) { remove(t, dir, wholeBundle, wholeTile) },
	} {
		damage := tests["nothing"]
		damage.do = do
		if name != "a flipped byte in an old tile" {
			damage.refused = wholeBundle
		}
		tests[name] = damage
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, source)
			damage.do(t, dir)
			before := snapshot(t, dir)
			report := check(t, dir)
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("checking changed files (-before +after):\n%s", diff)
			}
			t.Logf("found: %+v", report.Findings)
			repair := func(from ledger.Fetcher) error {
				return writer.Repair(t.Context(), writer.RepairConfig{
					Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), From: from, Say: func(done string) { t.Log(done) },
				})
			}
			err := repair(nil)
			needsCopy := damage.refused != "" && !strings.Contains(name, "signature") && name != "a truncated checkpoint"
			if _, refused := errors.AsType[*writer.DamageError](err); refused != needsCopy || err != nil && !refused {
				t.Fatalf("repaired without a copy: %v, want a refusal: %t", err, needsCopy)
			}
			if needsCopy && report.Worst() != writer.Copyable {
				t.Errorf("the check says %q, and a copy is needed", report.Worst())
			}
			if needsCopy {
				err := repair(ledger.Dir(filepath.Join(source, "log")))
				if strings.HasPrefix(name, "a state of more") {
					if err == nil || !strings.Contains(err.Error(), "--accept-loss") {
						t.Errorf("repaired with a copy that has less than the state says: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatalf("repaired with a copy: %v", err)
				}
			}
			log := open(t, dir)
			closeLog(t, log)
			if diff := cmp.Diff(want, checkLog(t, dir)); diff != "" {
				t.Errorf("the repaired log is another (-want +got):\n%s", diff)
			}
			if report := check(t, dir); len(report.Findings) > 0 {
				t.Errorf("after the repair: %+v", report.Findings)
			}
		})
	}
}

// TestRepairRefusesAnotherHistory: a copy that is not of this log changes nothing.
func TestRepairRefusesAnotherHistory(t *testing.T) {
	source, _ := writeLog(t)
	dir := copied(t, source)
	// The same key signs another history.
	forked := t.TempDir()
	text, err := os.ReadFile(filepath.Join(source, "log.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(forked, "log.key"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	log := open(t, forked)
	fill(t, log, 5000, 5800)
	closeLog(t, log)
	change(t, dir, edgeBundle, flipped)
	before := snapshot(t, dir)
	err = writer.Repair(t.Context(), writer.RepairConfig{
		Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), From: ledger.Dir(filepath.Join(forked, "log")), Say: func(string) {},
	})
	if _, fork := errors.AsType[*ledger.ForkError](err); !fork {
		t.Errorf("repaired from another history: %v, want a ForkError", err)
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

// TestRepairFromOlderCopy: from a copy that has less than is here, and cannot be compared as
// a whole, only what is damaged is taken; and nothing where that is of another history.
func TestRepairFromOlderCopy(t *testing.T) {
	source, _ := writeLog(t)
	dir := copied(t, source)
	// The last entries are given up, and others were written since: more than the copy has.
	remove(t, dir, wholeBundle, edgeBundle)
	repair := func(from ledger.Fetcher) error {
		return writer.Repair(t.Context(), writer.RepairConfig{
			Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), From: from, AcceptLoss: from == nil, Say: func(done string) { t.Log(done) },
		})
	}
	if err := repair(nil); err != nil {
		t.Fatal(err)
	}
	log := open(t, dir)
	fill(t, log, 2000, 2600)
	closeLog(t, log)
	want := checkLog(t, dir)
	change(t, dir, "tile/entries/000", flipped) // which both have
	if err := repair(ledger.Dir(filepath.Join(source, "log"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, checkLog(t, dir)); diff != "" {
		t.Errorf("what was written since is another (-want +got):\n%s", diff)
	}
	change(t, dir, wholeBundle, flipped) // in which the copy has other entries
	damaged, err := os.ReadFile(filepath.Join(dir, "log", "tile/entries/002"))
	if err != nil {
		t.Fatal(err)
	}
	if err := repair(ledger.Dir(filepath.Join(source, "log"))); err == nil {
		t.Error("repaired with entries of another history")
	}
	if after, err := os.ReadFile(filepath.Join(dir, "log", "tile/entries/002")); err != nil || string(after) != string(damaged) {
		t.Errorf("what is not damaged was changed: %v", err)
	}
}

// TestAcceptLoss gives up what is in no copy, and keeps what proves it.
func TestAcceptLoss(t *testing.T) {
	source, _ := writeLog(t)
	want := checkLog(t, source)
	dir := copied(t, source)
	change(t, dir, wholeBundle, flipped)
	remove(t, dir, edgeBundle)
	config := writer.RepairConfig{Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), AcceptLoss: true, Say: func(done string) { t.Log(done) }}
	if err := writer.Repair(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "log", ".state", "checkpoint.*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("checkpoints that were kept: %q, %v", kept, err)
	}
	log := open(t, dir)
	if size := log.Size(); size < 256 || size >= 512 {
		t.Errorf("the log goes on with %d entries, want those before the damage", size)
	}
	fill(t, log, 0, 300)
	closeLog(t, log)
	got := checkLog(t, dir)
	if diff := cmp.Diff(want[:256], got[:256]); diff != "" {
		t.Errorf("entries that were whole are not there (-want +got):\n%s", diff)
	}
	if report := check(t, dir); len(report.Findings) > 0 {
		t.Errorf("after the repair: %+v", report.Findings)
	}
}

// TestCheckBesideTheWriter checks a log that is written meanwhile.
func TestCheckBesideTheWriter(t *testing.T) {
	dir, _ := writeLog(t)
	log := open(t, dir)
	defer closeLog(t, log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		fill(t, log, written, written+300)
	}()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		if report := check(t, dir); len(report.Findings) > 0 || !report.Running {
			t.Fatalf("beside the writer: %+v", report)
		}
	}
}

// TestTroubleEnds lets writing fail, and then work again, without a new start.
func TestTroubleEnds(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir)
	fill(t, log, 0, 300)
	for name, broken := range map[string]struct{ aside, path string }{
		"entries cannot be written": {"tile.aside", "tile"},
		"the state cannot":          {".state.aside", ".state"},
	} {
		t.Run(name, func(t *testing.T) {
			path, aside := filepath.Join(dir, "log", broken.path), filepath.Join(dir, "log", broken.aside)
			size := log.Size()
			if err := os.Rename(path, aside); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := log.Append(t.Context(), ledger.Attestation, []byte("lost")); !errors.Is(err, ledger.ErrUnavailable) {
					t.Errorf("appended: %v, want ErrUnavailable", err)
				}
			}
			if log.Trouble() == nil || log.Size() != size {
				t.Errorf("trouble %v, size %d, want %d", log.Trouble(), log.Size(), size)
			}
			if err := errors.Join(os.Remove(path), os.Rename(aside, path)); err != nil {
				t.Fatal(err)
			}
			works(t, log)
		})
	}
	// Another directory in its place, as when a file system is unmounted.
	path := filepath.Join(dir, "log")
	if err := errors.Join(os.Rename(path, path+".aside"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), ledger.Attestation, []byte("lost")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("appended into another directory: %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Rename(path+".aside", path)); err != nil {
		t.Fatal(err)
	}
	works(t, log)
	closeLog(t, log)
	if records := checkLog(t, dir); len(records) != 303 {
		t.Errorf("%d entries, want 303", len(records))
	}
	if report := check(t, dir); len(report.Findings) > 0 {
		t.Errorf("after the trouble: %+v", report.Findings)
	}
}

// works waits until a log takes an entry, and publishes it.
// TestClearingAwayIsTriedAgain: trouble with what a checkpoint made superfluous ends by
// itself, also while nothing is appended.
func TestClearingAwayIsTriedAgain(t *testing.T) {
	needtest.Root(t, "make a directory immutable")
	chattr := needtest.Program(t, "chattr", "e2fsprogs")
	dir := t.TempDir()
	log := open(t, dir)
	defer closeLog(t, log)
	fill(t, log, 0, 250)
	immutable := func(flag string) {
		t.Helper()
		if text, err := exec.CommandContext(context.WithoutCancel(t.Context()), chattr, flag, filepath.Join(dir, "log", "tile/entries/000.p")).CombinedOutput(); err != nil {
			t.Fatalf("chattr: %v: %s", err, text)
		}
	}
	immutable("+i")
	t.Cleanup(func() { immutable("-i") })
	until := func(troubled bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); (log.Trouble() != nil) != troubled; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("trouble: %v, want some: %t", log.Trouble(), troubled)
			}
		}
	}
	fill(t, log, 250, 260)
	until(true)
	immutable("-i")
	until(false)
	if err := os.MkdirAll(filepath.Join(dir, "log", "tile/entries/000.p"), 0o700); err != nil { // for the clean-up
		t.Error(err)
	}
}

func works(t *testing.T, log *writer.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		index, err := log.Append(ctx, ledger.Attestation, []byte("after the trouble"))
		if err == nil {
			if _, err := log.Receipt(ctx, index); err != nil {
				t.Error(err)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the log takes nothing any more: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for log.Trouble() != nil && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	if err := log.Trouble(); err != nil {
		t.Errorf("there is trouble still: %v", err)
	}
}

// TestCheckByAnotherKey: the key is what is wrong then, and no repair helps.
func TestCheckByAnotherKey(t *testing.T) {
	source, _ := writeLog(t)
	dir := copied(t, source)
	if err := os.Remove(filepath.Join(dir, "log.key")); err != nil {
		t.Fatal(err)
	}
	_, err := writer.Check(t.Context(), filepath.Join(dir, "log"), newKey(t, dir), nil)
	damage, ok := errors.AsType[*writer.DamageError](err)
	if !ok || !strings.Contains(damage.Do, "log.key") {
		t.Errorf("checked by another key: %v", err)
	}
}
