package monitor_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/verify"
	"repronet.dev/verify/monitor"
	"repronet.dev/verify/verifytest"
)

// A scene is a monitor of a ledger whose aggregator can change its mind.
type scene struct {
	*monitor.Monitor
	t        *testing.T
	ledger   *verifytest.Ledger
	alice    *signing.Signer
	serve    atomic.Pointer[http.Handler]
	reporter string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, ledger: verifytest.NewLedger(t), reporter: t.TempDir()}
	s.alice = s.ledger.Enrol("alice")
	s.show(s.ledger.Handler())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.serve.Load()).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	if err := os.Mkdir(filepath.Join(s.reporter, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	pem := s.alice.Public().PEM()
	if err := os.WriteFile(filepath.Join(s.reporter, "builder.pub"), pem, 0o600); err != nil {
		t.Fatal(err)
	}
	reporter, err := monitor.OpenReporter(s.reporter)
	if err != nil {
		t.Fatal(err)
	}
	mirror, err := verify.OpenMirror(t.Context(), t.TempDir(), s.ledger.Key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mirror.Close() })
	aggregator, err := verify.Dial(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Monitor = monitor.New(monitor.Config{
		Mirror: mirror, Aggregator: aggregator, Maps: t.TempDir(), Key: s.ledger.Key.Verifier(), MaxAge: time.Hour, Reporter: reporter,
		Progress: func(string, uint64, uint64) {},
	})
	return s
}

func (s *scene) show(h http.Handler) { s.serve.Store(&h) }

// acknowledge attests, and keeps the receipt as a reporter does.
func (s *scene) acknowledge(l *verifytest.Ledger, digest byte) uint64 {
	s.t.Helper()
	index := l.Attest(s.alice, verifytest.Digest(digest))
	line, err := json.Marshal(l.Receipt(index).Inclusion())
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.reporter, "spool", "receipts.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		s.t.Fatal(err)
	}
	return index
}

// TestErased: a ledger that erases an attachment does what it may.
func TestErased(t *testing.T) {
	s := newScene(t)
	dave, _ := s.ledger.Certify("dave")
	s.ledger.Publish()
	s.want()
	s.ledger.Erase(dave.Sum())
	s.ledger.Publish()
	s.want()
}

// want makes a round, and returns its alert.
func (s *scene) want(kinds ...monitor.Kind) []monitor.Alert {
	s.t.Helper()
	alerts, err := s.Round(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var got []monitor.Kind
	for _, a := range alerts {
		got = append(got, a.Kind)
	}
	if !slices.Equal(got, kinds) {
		s.t.Fatalf("alerts %v, want %v: %+v", got, kinds, alerts)
	}
	return alerts
}

// convicts shows evidence to a program that has nothing of this project.
func (s *scene) convicts(path string) {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "xmod")
	if out, err := exec.CommandContext(s.t.Context(), "go", "build", "-o", program, "repronet.dev/e2e/xmod").CombinedOutput(); err != nil {
		s.t.Fatalf("building: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(s.t.Context(), program, s.ledger.Key.String(), path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("the log signed two")) {
		s.t.Errorf("the second tool says: %v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	// Against another log, or with a byte changed, it proves nothing.
	if out, err := exec.CommandContext(s.t.Context(), program, verifytest.NewLedger(s.t).Key.String(), path).CombinedOutput(); err == nil {
		s.t.Errorf("it convicts another log, too: %s", out)
	}
	var c ledger.Conviction
	if err := json.Unmarshal(text, &c); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Verify(s.ledger.Key.Verifier()); err != nil {
		s.t.Error(err)
	}
}

func TestHonestLog(t *testing.T) {
	s := newScene(t)
	for i := range 3 {
		s.acknowledge(s.ledger, 1)
		s.ledger.Fill(100*i, "something else")
		s.ledger.Publish()
		s.want()
	}
}

func TestForkedLog(t *testing.T) {
	for name, grow := range map[string]int{"grown": 400, "of the same size": 0, "smaller": -200} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.ledger.Fill(300, "something")
			size := s.ledger.Publish().Size
			s.want()
			twin := s.ledger.Twin()
			twin.Fill(int(size)+grow, "something else")
			twin.Publish()
			s.show(twin.Handler())
			s.convicts(s.want(monitor.Fork)[0].Evidence)
		})
	}
}

// A statement that was acknowledged, and is not in the ledger that is shown to the
// monitor, which never saw the other one.
func TestDroppedStatement(t *testing.T) {
	s := newScene(t)
	index := s.acknowledge(s.ledger, 1)
	s.ledger.Fill(20, "something")
	s.ledger.Publish()
	twin := s.ledger.Twin()
	twin.Fill(int(index), "something")
	twin.Publish()
	s.show(twin.Handler())
	s.want(monitor.Shrunk) // and may be behind
	twin.Fill(50, "something else")
	twin.Publish()
	s.convicts(s.want(monitor.Dropped)[0].Evidence)
}

func TestRewrittenEntry(t *testing.T) {
	s := newScene(t)
	s.acknowledge(s.ledger, 1)
	s.ledger.Fill(300, "something")
	s.ledger.Publish()
	s.want()
	const file = "tile/entries/000"
	data, err := os.ReadFile(filepath.Join(s.ledger.Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Clone(data)
	data[100] ^= 1
	s.show(verifytest.Replacing(s.ledger.Handler(), file, data))
	s.want(monitor.Rewritten)
	s.show(s.ledger.Handler())
	s.want()
}

func TestShrunkLog(t *testing.T) {
	s := newScene(t)
	s.ledger.Fill(5, "something")
	old := s.ledger.Publish().Text
	s.ledger.Fill(5, "something")
	s.ledger.Publish()
	s.want()
	s.show(verifytest.Replacing(s.ledger.Handler(), "checkpoint", old))
	s.want(monitor.Shrunk)
}

func TestStaleLog(t *testing.T) {
	s := newScene(t)
	s.ledger.Fill(5, "something")
	s.ledger.Publish()
	s.MaxAge = time.Millisecond
	time.Sleep(5 * time.Millisecond)
	s.want(monitor.Stale)
}

// TestLogAhead: a log whose clock is ahead is not fresh for as long as that.
func TestLogAhead(t *testing.T) {
	s := newScene(t)
	s.ledger.SetAhead(10 * time.Minute)
	s.ledger.Fill(5, "something")
	s.ledger.Publish()
	s.want()
	s.ledger.SetAhead(20 * time.Minute)
	s.ledger.Fill(5, "something")
	s.ledger.Publish()
	s.want(monitor.Stale)
}

func TestNobodyThere(t *testing.T) {
	s := newScene(t)
	s.show(http.NotFoundHandler())
	s.want(monitor.Unreachable)
}

// link appends a statement of alice's at a place of her chain.
func (s *scene) link(sequence uint64, previous, skipped attestation.Digest, digest byte) attestation.Digest {
	s.t.Helper()
	now := time.Now()
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: verifytest.Digest(digest)}},
		Builds:   []attestation.Build{{Name: verifytest.Build, Outputs: []int{0}, Started: now, Finished: now, Occasion: attestation.OccasionBuild}},
		Chain:    attestation.Chain{Stream: "00112233445566778899aabbccddeeff", Sequence: sequence, Previous: previous},
	}
	if !skipped.IsZero() {
		statement.Chain.Skipped = []attestation.Digest{skipped}
	}
	bundle := verifytest.Sign(s.t, s.alice, statement)
	s.ledger.Append(ledger.Attestation, bundle)
	_, payload, err := signing.Peek(bundle)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ledger.Publish()
	return payload
}

func TestChain(t *testing.T) {
	s := newScene(t)
	first := s.link(0, attestation.Digest{}, attestation.Digest{}, 1)
	refused := attestation.Digest{7}
	third := s.link(2, refused, refused, 2)
	s.want()
	fourth := s.link(3, third, attestation.Digest{}, 3)
	s.want()
	s.link(3, third, attestation.Digest{}, 4) // a fork
	s.want(monitor.Chain)
	s.link(7, fourth, attestation.Digest{}, 5) // a gap
	s.want(monitor.Chain, monitor.Chain)
	_ = first
}
