package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/e2e/answers"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/replay"
	snapshots "repronet.dev/snapshot"
)

// TestReleases opens what each release wrote (testdata/release-*.tar.zst, made by
// TestMakeRelease) with the programs as they are now: the ledger means what it meant,
// the release's index is used or made anew, what a reporter left is delivered, and a
// checker goes on from its copy.
func TestReleases(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	archives, err := filepath.Glob("testdata/release-*.tar.zst")
	if err != nil || len(archives) == 0 {
		t.Fatalf("there is no data of a release: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.zst"), func(t *testing.T) {
			t.Parallel()
			r := &release{dir: unpack(t, archive)}
			t.Run("ledger", func(t *testing.T) { r.same(t, answers.Options{Map: true}) })
			t.Run("index", func(t *testing.T) { r.same(t, answers.Options{Index: true}) })
			t.Run("snapshot", func(t *testing.T) { r.snapshot(t, filepath.Base(archive)) })
			t.Run("network", r.network)
		})
	}
}

// A release is what its programs left: aggregator/, reporter/, verify/pins.json,
// verify/mirror/ and expected.json.
type release struct{ dir string }

func (r *release) path(names ...string) string {
	return filepath.Join(append([]string{r.dir}, names...)...)
}

// same asks what follows from the ledger. Questions that the release asked and these
// options leave out are passed over.
func (r *release) same(t *testing.T, o answers.Options) {
	text, err := os.ReadFile(r.path("expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected answers.Answers
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	if !o.Map {
		delete(expected, "map root")
	}
	o.Log = messages(t, "the programs")
	got, err := answers.Read(t.Context(), programs(), r.path("aggregator"), o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Index { // then the roll-up is as old as the index
		rolledUp := func(path, _ string) bool {
			return path == "/api/v1/agreement" || strings.HasPrefix(path, "/api/v1/builders")
		}
		maps.DeleteFunc(expected, rolledUp)
		maps.DeleteFunc(got, rolledUp)
	}
	c := answers.Compare(expected, got)
	for _, what := range c.Different {
		t.Error(what)
	}
	t.Logf("%d answers, %d the same byte for byte; added since: %q", len(expected), c.Same, c.Added)
	if len(expected) < 40 {
		t.Errorf("the release was asked %d questions only", len(expected))
	}
}

// snapshotSums are the SHA-256 of SHA256SUMS in a snapshot of what a release's ledger had
// published: the bytes follow from the ledger alone. If they have to change, snapshot.Format
// is a new one.
var snapshotSums = map[string]string{
	"release-0.1.0.tar.zst": "98286fad52fd7cb97baa076b1241cb9d053849fdb57a0b74ff3de2fdbcf82e69",
}

// snapshot makes a snapshot of the ledger.
func (r *release) snapshot(t *testing.T, archive string) {
	data := r.path("aggregator")
	key, err := writer.LoadKey(filepath.Join(data, "log.key"))
	if err != nil {
		t.Fatal(err)
	}
	reader := ledger.NewReader(ledger.Dir(filepath.Join(data, "ledger")), key.Verifier())
	c, err := reader.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attachments, err := ledger.OpenAttachments(filepath.Join(data, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := replay.Find(t.Context(), reader.Tree(c), c.Origin, c.Size)
	if err != nil {
		t.Fatal(err)
	}
	dir := r.path("snapshot")
	if _, err := snapshots.Make(t.Context(), snapshots.Config{Dir: dir, Ledger: l, Root: c.Root, Replay: replay.Config{Attachment: func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
		return attachments.Get(ctx, ledger.AttachmentID(sum))
	}}}); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(dir, snapshots.SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(sums)); got != snapshotSums[archive] {
		t.Errorf("the snapshot's files have other bytes than they had: %s\n%s", got, sums)
	}
}

// network has the aggregator, the reporter and the checker go on where they were.
func (r *release) network(t *testing.T) {
	s := &server{log: messages(t, "the aggregator"), args: []string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms", "--origin", "release.example/ledger"}}
	if err := s.start(t.Context(), r.path("aggregator")); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Errorf("the aggregator ended with: %v", err)
		}
	}()
	before := indexed(t, s.URL)

	erin := &volunteer{t, r.path("reporter")}
	erin.run(0, "init", "--aggregator", s.URL)
	left := erin.status()
	erin.run(0, "run", "--once")
	if left.Waiting == 0 || left.Outbox == 0 || left.Acknowledged.Statements == 0 {
		t.Errorf("the release left nothing to deliver: %+v", left)
	}
	now := erin.status()
	if now.Waiting+now.Outbox+len(now.Refused)+len(now.Corrupt) > 0 || now.Acknowledged.Statements != left.Acknowledged.Statements+2 {
		t.Errorf("the reporter had %+v, and after delivering %+v", left, now)
	}
	for _, build := range []string{"sealed", "spooled"} {
		verdict(t, s, build, "single", 1)
	}
	if after := indexed(t, s.URL); after.LedgerSize < before.LedgerSize+2 || after.Reproduced != before.Reproduced {
		t.Errorf("%+v became %+v", before, after)
	}
	r.check(t, s)
}

// check goes on with the pins and the copy of the ledger.
func (r *release) check(t *testing.T, s *server) {
	pins, mirror := r.path("verify", "pins.json"), r.path("verify", "mirror")
	text, err := os.ReadFile(pins)
	if err != nil {
		t.Fatal(err)
	}
	var pinned struct{ Aggregators []string }
	if err := json.Unmarshal(text, &pinned); err != nil {
		t.Fatal(err)
	}
	// The aggregator has moved to another address.
	if err := os.WriteFile(pins, []byte(strings.ReplaceAll(string(text), pinned.Aggregators[0], s.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), programs().Verify(), append(args, "--config", pins, "--mirror", mirror)...)
		out, err := command.CombinedOutput()
		if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
			t.Fatal(err)
		}
		if got := command.ProcessState.ExitCode(); got != want {
			t.Errorf("repronet-verify %v: status %d, want %d\n%s", args, got, want, out)
		}
		return string(out)
	}
	old := run(0, "checkpoint")
	run(0, "mirror")
	if now := run(0, "checkpoint"); now == old {
		t.Errorf("the copy of the ledger did not grow:\n%s", now)
	}
	run(0, "output", "--ecosystem", "generic", "project/agreed^out")
	run(1, "output", "--ecosystem", "generic", "project/outlier^out")
	run(0, "monitor", "--once", "--reporter", r.path("reporter"))
	run(0, "replay", "--aggregator", s.URL)
}
