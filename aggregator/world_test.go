package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/aggregator/admin"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/ledgertest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/verify"
)

// A world is a whole server in this process, on a real ledger and the real engine.
// The engine can be open once in a process.
type world struct {
	*Aggregator
	t         *testing.T
	url       string
	addresses []string // url first, then multiaddrs
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	chdbtest.Library(t)
	config := DefaultConfig()
	config.Data, config.Listen, config.Origin = t.TempDir(), "127.0.0.1:0", "test.example/ledger"
	config.CheckpointInterval = 200 * time.Millisecond
	if change != nil {
		change(&config)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	if _, err := Origin(config.Data); errors.Is(err, ErrNoLedger) {
		must(Found(config))
	}
	a, err := Open(t.Context(), config, Dependencies{Logger: logger, Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Keep(t, filepath.Join(config.Data, "ledger"), filepath.Join(config.Data, "log.key"))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	addresses, ended := make(chan []string, 1), make(chan error, 1)
	go func() { ended <- a.Serve(ctx, func(at []string) { addresses <- at }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	w := &world{Aggregator: a, t: t}
	select {
	case at := <-addresses:
		w.url, w.addresses = at[0], at
	case err := <-ended:
		ended <- err
		t.Fatal("the server ended")
	}
	return w
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (w *world) enrol(operator string) *signing.Signer {
	w.t.Helper()
	return w.enrolAs(operator, enrolment.Counted)
}

func (w *world) enrolAs(operator string, tier enrolment.Tier) *signing.Signer {
	w.t.Helper()
	signer := signingtest.New(w.t)
	key := signer.Public()
	if _, err := w.Enrol(w.t.Context(), &enrolment.Enrolment{
		Builder: key.Builder(), PublicKey: key.DER(), Operator: operator, Tier: tier,
	}); err != nil {
		w.t.Fatal(err)
	}
	return signer
}

func outputName(n int) string {
	return fmt.Sprintf("/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-%d", n)
}

// attest claims outputs from ≤ n < to with a digest that depends on the variant.
func (w *world) attest(signer *signing.Signer, from, to int, variant byte) uint64 {
	w.t.Helper()
	s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
	for n := from; n < to; n++ {
		s.Builds = append(s.Builds, attestation.Build{
			Name: outputName(n) + ".drv", Outputs: []int{len(s.Subjects)}, Finished: time.Now(), Occasion: attestation.OccasionBuild,
		})
		s.Subjects = append(s.Subjects, attestation.Subject{Name: outputName(n), Digest: attestation.Digest{1, variant, byte(n), byte(n >> 8)}})
	}
	return w.append(ledger.Attestation, must(signer.Sign(w.t.Context(), s)))
}

func (w *world) append(kind ledger.Kind, body []byte) uint64 {
	w.t.Helper()
	index, err := w.log.Append(w.t.Context(), kind, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return index
}

func (w *world) publish(name string, outputs int) {
	w.t.Helper()
	var list bytes.Buffer
	for n := range outputs {
		fmt.Fprintln(&list, outputName(n))
	}
	if _, err := w.PublishSet(w.t.Context(), admin.Set{Name: name, Revision: fmt.Sprint(outputs), Ecosystem: "nix"}, io.Reader(&list)); err != nil {
		w.t.Fatal(err)
	}
}

// history writes a ledger in which verdicts come and go.
func (w *world) history() {
	w.t.Helper()
	alice, bob, carol := w.enrol("alice"), w.enrol("bob"), w.enrol("carol")
	w.attest(alice, 0, 200, 1)
	w.publish("stable", 250)
	w.attest(bob, 50, 150, 1)
	w.attest(carol, 100, 300, 2)
	w.publish("stable", 120)
	stolen := w.attest(bob, 200, 220, 9)
	if _, err := w.Revoke(w.t.Context(), bob.Public().Builder(), &stolen, "stolen"); err != nil {
		w.t.Fatal(err)
	}
	w.append(ledger.Rules, []byte(`{"version":1}`)) // which judges already
	w.append(ledger.Attestation, must(carol.Sign(w.t.Context(), &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR, Reason: "bad disk",
		Subjects: []attestation.Subject{{Name: outputName(110), Digest: attestation.Digest{1, 2, 110}}},
	})))
}

// settle waits until all is indexed and a checkpoint covers it.
func (w *world) settle() {
	w.t.Helper()
	if _, err := w.log.Receipt(w.t.Context(), w.log.Size()-1); err != nil {
		w.t.Fatal(err)
	}
	if err := w.index.CatchUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// sql changes the index by hand.
func (w *world) sql(statement string) {
	w.t.Helper()
	conn, err := clickhouse.Open(w.keeper.options("repronet_1"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(w.t.Context(), statement); err != nil {
		w.t.Fatalf("%s: %v", strings.TrimSpace(statement), err)
	}
}

// verifier checks what the log signs.
func (w *world) verifier() note.Verifier {
	w.t.Helper()
	verifier, err := note.NewVerifier(w.logKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return verifier
}

// mirror returns a new, verified copy of the ledger.
func (w *world) mirror() *verify.Mirror {
	w.t.Helper()
	m, err := verify.OpenMirror(w.t.Context(), w.t.TempDir(), w.verifier())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { m.Close() })
	w.update(m)
	return m
}

func (w *world) update(m *verify.Mirror) {
	w.t.Helper()
	if err := m.Update(w.t.Context(), must(verify.Dial(w.url)).Log(), func(string, uint64, uint64) {}); err != nil {
		w.t.Fatal(err)
	}
}
