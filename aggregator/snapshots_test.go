package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/replay"
	"repronet.dev/snapshot"
	"repronet.dev/verify"
)

// count asks the engine alone, which knows nothing of the index here.
func (w *world) count(query string) (n uint64) {
	w.t.Helper()
	conn := must(clickhouse.Open(w.keeper.options("default")))
	defer conn.Close()
	if err := conn.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// TestSnapshot: what researchers download has the counts of the API, in another tool, and
// is what anybody makes of the ledger.
func TestSnapshot(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Snapshots.Keep = 2 })
	if err := w.snapshots.nightly(t.Context()); err != nil {
		t.Fatalf("of an empty ledger: %v", err)
	}
	w.history()
	w.settle()
	made := must(admin.MakeSnapshot.Do(t.Context(), w.Administration(), admin.None{}))
	dir := filepath.Join(w.config.Data, SnapshotsDir, fmt.Sprint(made.Size))

	var summary api.Summary
	if err := json.Unmarshal([]byte(w.get(api.SummaryPath)), &summary); err != nil {
		t.Fatal(err)
	}
	of := func(view, where string) uint64 {
		for _, v := range snapshot.Views() {
			if v.Name == view {
				return w.count(fmt.Sprintf("SELECT count() FROM file('%s', Parquet) WHERE %s", filepath.Join(dir, v.Glob()), where))
			}
		}
		t.Fatalf("no view %s", view)
		return 0
	}
	got := api.Summary{
		Reproduced: of("verdicts", "verdict = 'reproduced'"), Diverged: of("verdicts", "verdict = 'diverged'"), Single: of("verdicts", "verdict = 'single'"),
		Compared: of("verdicts", "verdict IN ('reproduced', 'diverged')"), Outputs: of("verdicts", "verdict != 'unbuilt'"),
		Builders: of("builders", "attestations > 0"), Operators: of("operators", "attestations > 0"), Observations: of("observations", "1"),
		Failures: summary.Failures, Attestations: summary.Attestations, // of which there are none, and no view
	}
	want := api.Summary{
		Reproduced: summary.Reproduced, Diverged: summary.Diverged, Single: summary.Single, Compared: summary.Compared, Outputs: summary.Outputs,
		Builders: summary.Builders, Operators: summary.Operators, Observations: summary.Observations, Failures: summary.Failures, Attestations: summary.Attestations,
	}
	if diff := cmp.Diff(want, got); diff != "" || summary.Diverged == 0 || summary.Reproduced == 0 {
		t.Errorf("counts (-API +snapshot):\n%s", diff)
	}
	if set := of("members", "set_name = 'stable' AND revision = '120'"); set != 120 {
		t.Errorf("%d members", set)
	}

	w.downloads(made, dir)
	w.proves(dir)
	w.keepsNewest(made)
}

// downloads reads a snapshot as a researcher does.
func (w *world) downloads(made api.Snapshot, dir string) {
	w.t.Helper()
	var list []api.Snapshot
	if err := json.Unmarshal([]byte(w.get(api.SnapshotsPath)), &list); err != nil || len(list) != 1 || list[0] != made {
		w.t.Errorf("%+v, %v, want %+v", list, err, made)
	}
	for _, file := range []string{snapshot.SumsFile, snapshot.SignatureFile, "verdicts/nix.parquet"} {
		if got, want := w.get(made.Path+"/"+file), must(os.ReadFile(filepath.Join(dir, file))); got != string(want) {
			w.t.Errorf("%s: %d bytes, want %d", file, len(got), len(want))
		}
	}
	half := filepath.Join(w.config.Data, SnapshotsDir, snapshot.TemporaryPrefix+"1")
	if err := errors.Join(os.Mkdir(half, 0o755), os.WriteFile(filepath.Join(half, "LICENSE"), nil, 0o600)); err != nil {
		w.t.Fatal(err)
	}
	for _, path := range []string{
		made.Path, made.Path + "/verdicts", made.Path + "/nothing", made.Path + "/..%2f..%2flog.key", made.Path + "/%2e%2e/%2e%2e/log.key",
		api.SnapshotFilesPath + "/" + snapshot.TemporaryPrefix + "1/LICENSE",
	} {
		request := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil))
		response := must(http.DefaultTransport.RoundTrip(request))
		body := must(io.ReadAll(response.Body))
		response.Body.Close()
		if response.StatusCode == http.StatusOK || strings.Contains(string(body), "PRIVATE+KEY") {
			w.t.Errorf("%s: %s", path, response.Status)
		}
	}
}

// proves makes the snapshot anew from a copy of the ledger.
func (w *world) proves(dir string) {
	w.t.Helper()
	signed := must(snapshot.Check(dir, w.verifier()))
	m := w.mirror()
	ours := filepath.Join(w.t.TempDir(), "ours")
	must(snapshot.Make(w.t.Context(), snapshot.Config{
		Dir: ours, Root: signed.Root,
		Ledger: replay.Ledger{Tree: m.Tree(), Roster: must(m.RosterEntries()), Erased: must(m.Erasures()), Size: signed.Size, Origin: m.Tree().Origin()},
		Replay: replay.Config{Attachment: m.Attachments(must(verify.Dial(w.url)).Log())},
	}))
	if same := must(snapshot.Compare(w.t.Context(), ours, dir)); !same {
		w.t.Error("a stranger makes other bytes")
	}
}

// keepsNewest makes more snapshots than are kept, and some that cannot be made.
func (w *world) keepsNewest(first api.Snapshot) {
	w.t.Helper()
	ctx := w.t.Context()
	if again := must(w.snapshots.make(ctx, io.Discard)); again != first {
		w.t.Errorf("of the same ledger: %+v", again)
	}
	alice := w.enrol("late")
	for n := range 2 {
		w.attest(alice, 400+n, 401+n, 1)
		w.settle()
		if err := w.snapshots.nightly(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	if sizes := must(w.snapshots.sizes()); len(sizes) != 2 || sizes[1] <= first.Size {
		w.t.Errorf("kept: %d", sizes)
	}
	kept := must(os.ReadDir(w.snapshots.dir))

	w.attest(alice, 500, 501, 1)
	w.settle()
	w.snapshots.making.Lock()
	_, err := admin.MakeSnapshot.Do(ctx, w.Administration(), admin.None{})
	w.snapshots.making.Unlock()
	if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Conflict {
		w.t.Errorf("two at once: %v", err)
	}
	w.snapshots.room = func(string) (free, total uint64, err error) { return 1 << 29, 1 << 40, nil }
	if _, err := w.snapshots.make(ctx, io.Discard); err == nil || !strings.Contains(err.Error(), "are the ledger's: make room") {
		w.t.Errorf("with no room: %v", err)
	}
	if left := must(os.ReadDir(w.snapshots.dir)); len(left) != len(kept) {
		w.t.Errorf("left behind: %v", left)
	}
	opened := must(openSnapshots(w.snapshots.dir, 2, w.snapshots.key, w.snapshots.ledger, w.snapshots.checkpoint, w.snapshots.attachments))
	if left := must(os.ReadDir(opened.dir)); len(left) != 2 {
		w.t.Errorf("a start leaves %v", left)
	}
}
