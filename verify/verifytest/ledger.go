// Package verifytest makes real ledgers with really signed statements, and serves
// them as an aggregator does, honestly or not, for tests of verify and its
// command.
package verifytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/published"
	"repronet.dev/ledger"
	"repronet.dev/ledger/ledgertest"
	"repronet.dev/ledger/writer"
	"repronet.dev/pkgset"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/verify"
)

// Output is an output of ecosystem generic, and Build its build.
const (
	Build  = "alice/hello-1.0"
	Output = Build + "^bin"
)

// Digest returns a digest that differs from that of every other byte.
func Digest(b byte) attestation.Digest { return attestation.Digest{b, 1} }

// A Ledger is a real log that is open for writing.
type Ledger struct {
	tb      testing.TB
	Dir     string // of the log
	Key     *writer.Key
	log     *writer.Log
	keyFile string // of Key
	// ahead is how far the log's clock is ahead, in nanoseconds.
	ahead *atomic.Int64
	// builders are all that were enrolled, and pinned by Pins.
	builders []api.RosterBuilder
	roster   *enrolment.Roster
}

// NewLedger opens an empty ledger.
func NewLedger(tb testing.TB) *Ledger {
	tb.Helper()
	keyFile := filepath.Join(tb.TempDir(), "log.key")
	key, err := writer.LoadOrCreateKey(keyFile, "repro.example.org/log")
	if err != nil {
		tb.Fatal(err)
	}
	return open(tb, key, keyFile)
}

// Twin opens another, empty ledger under the same key: another history.
func (l *Ledger) Twin() *Ledger {
	l.tb.Helper()
	twin := open(l.tb, l.Key, l.keyFile)
	twin.builders = l.builders
	return twin
}

func open(tb testing.TB, key *writer.Key, keyFile string) *Ledger {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "log")
	ahead := &atomic.Int64{}
	log, err := writer.Open(tb.Context(), writer.Config{
		Dir: dir, Key: key, CheckpointInterval: 200 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	ledgertest.Keep(tb, dir, keyFile)
	tb.Cleanup(func() {
		if err := log.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return &Ledger{tb: tb, Dir: dir, Key: key, keyFile: keyFile, log: log, ahead: ahead, roster: enrolment.NewRoster()}
}

// SetAhead sets the log's clock ahead, by less than a month.
func (l *Ledger) SetAhead(by time.Duration) { l.ahead.Store(int64(by)) }

// Append puts an entry in, whatever it is.
func (l *Ledger) Append(kind ledger.Kind, body []byte) uint64 {
	l.tb.Helper()
	index, err := l.log.Append(l.tb.Context(), kind, body)
	if err != nil {
		l.tb.Fatal(err)
	}
	_, _, _ = l.roster.Apply(index, kind, body) // what cannot be applied moves nothing
	return index
}

// Fill appends n entries that say nothing.
func (l *Ledger) Fill(n int, text string) {
	l.tb.Helper()
	var group errgroup.Group
	for range n {
		group.Go(func() error {
			_, err := l.log.Append(l.tb.Context(), ledger.Narinfo, []byte(text)) // which is none
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.tb.Fatal(err)
	}
}

// Publish waits until a checkpoint covers what was appended, and returns it.
func (l *Ledger) Publish() *ledger.Checkpoint {
	l.tb.Helper()
	if size := l.log.Size(); size > 0 {
		if _, err := l.log.Receipt(l.tb.Context(), size-1); err != nil {
			l.tb.Fatal(err)
		}
	}
	return l.log.Checkpoint()
}

// Receipt returns the receipt of an entry.
func (l *Ledger) Receipt(index uint64) *ledger.Receipt {
	l.tb.Helper()
	receipt, err := l.log.Receipt(l.tb.Context(), index)
	if err != nil {
		l.tb.Fatal(err)
	}
	return receipt
}

// Enrol makes a builder of an operator and enrols it.
func (l *Ledger) Enrol(operator string) *signing.Signer {
	l.tb.Helper()
	signer := signingtest.New(l.tb)
	key := signer.Public()
	body, err := (&enrolment.Enrolment{Builder: key.Builder(), PublicKey: key.DER(), Operator: operator, Tier: enrolment.Counted}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	index := l.Append(ledger.Enrolment, body)
	l.builders = append(l.builders, api.RosterBuilder{
		ID: key.Builder(), PublicKey: key.DER(), Operator: operator, Tier: api.Counted, EnrolledAt: index,
	})
	return signer
}

// Revoke revokes a builder from a ledger index on.
func (l *Ledger) Revoke(builder signing.BuilderID, from uint64) uint64 {
	l.tb.Helper()
	body, err := (&enrolment.Revocation{Builder: builder, From: from, Reason: "stolen"}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	return l.Append(ledger.Revocation, body)
}

// Attest appends a signed claim that [Output] has a digest.
func (l *Ledger) Attest(signer *signing.Signer, digest attestation.Digest) uint64 {
	l.tb.Helper()
	return l.AttestOutput(signer, "generic", Build, Output, attestation.File, digest)
}

// AttestOutput appends a signed claim on any output.
func (l *Ledger) AttestOutput(signer *signing.Signer, ecosystem, build, output string, kind attestation.DigestKind, digest attestation.Digest) uint64 {
	l.tb.Helper()
	now := time.Now()
	return l.Append(ledger.Attestation, Sign(l.tb, signer, &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: ecosystem, DigestKind: kind,
		Subjects: []attestation.Subject{{Name: output, Digest: digest}},
		Builds: []attestation.Build{{
			Name: build, Outputs: []int{0}, Started: now.Add(-time.Second), Finished: now, Occasion: attestation.OccasionBuild,
		}},
	}))
}

// PublishSet publishes a package set at a revision.
func (l *Ledger) PublishSet(name, revision, ecosystem string, members []pkgset.Member) uint64 {
	l.tb.Helper()
	attachment, err := pkgset.Encode(ecosystem, members)
	if err == nil {
		_, err = l.attachments().Put(bytes.NewReader(attachment))
	}
	if err != nil {
		l.tb.Fatal(err)
	}
	body, err := (&pkgset.Entry{Name: name, Revision: revision, Ecosystem: ecosystem, Members: pkgset.Count(members), SHA256: sha256.Sum256(attachment)}).Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	return l.Append(ledger.PackageSet, body)
}

// Withdraw appends a signed withdrawal of a claim on [Output].
func (l *Ledger) Withdraw(signer *signing.Signer, digest attestation.Digest) uint64 {
	l.tb.Helper()
	return l.WithdrawOutput(signer, "generic", Output, attestation.File, digest)
}

// WithdrawOutput appends a signed withdrawal of a claim on any output.
func (l *Ledger) WithdrawOutput(signer *signing.Signer, ecosystem, output string, kind attestation.DigestKind, digest attestation.Digest) uint64 {
	l.tb.Helper()
	return l.Append(ledger.Attestation, Sign(l.tb, signer, &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: ecosystem, DigestKind: kind,
		Subjects: []attestation.Subject{{Name: output, Digest: digest}}, Reason: "the disk was broken",
	}))
}

// Sign signs a statement.
func Sign(tb testing.TB, signer *signing.Signer, statement *attestation.Statement) []byte {
	tb.Helper()
	bundle, err := signer.Sign(tb.Context(), statement)
	if err != nil {
		tb.Fatal(err)
	}
	return bundle
}

// Pins returns pins of the ledger's key and of all builders that it enrolled.
func (l *Ledger) Pins(aggregators ...string) *verify.Pins {
	l.tb.Helper()
	pins := &verify.Pins{Aggregators: aggregators, LogKey: l.Key.String()}
	for _, b := range l.builders {
		key, err := signing.ParsePublicKeyDER(b.PublicKey)
		if err != nil {
			l.tb.Fatal(err)
		}
		pins.Pin(verify.NewBuilder(key, b.Operator))
	}
	return pins
}

// Builders is the builder list, as an honest aggregator publishes it.
func (l *Ledger) Builders() api.Roster {
	l.tb.Helper()
	c := l.Publish()
	return api.Roster{Checkpoint: string(c.Text), Size: c.Size, Builders: published.Builders(l.roster)}
}

// Handler serves the ledger as an aggregator does.
func (l *Ledger) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.LogPath+"/", http.StripPrefix(api.LogPath, http.FileServer(http.Dir(l.Dir))))
	mux.HandleFunc(api.LogKeyPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(l.Key.String() + "\n")) })
	mux.HandleFunc(api.RosterPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l.Builders()) //nolint:contextcheck // the test's own
	})
	return mux
}

// Serve serves the ledger until the test ends and returns the address.
func (l *Ledger) Serve() string {
	l.tb.Helper()
	return Serve(l.tb, l.Handler())
}

// Serve serves a handler until the test ends and returns the address.
func Serve(tb testing.TB, handler http.Handler) string {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server.URL
}

// Replacing serves a file of the log (such as "tile/entries/000.p/3") with other
// contents, and everything else as the handler does. Empty contents are a file
// that is not there.
func Replacing(handler http.Handler, file string, contents []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, api.LogPath+"/"+file):
			handler.ServeHTTP(w, r)
		case len(contents) == 0:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(contents)
		}
	})
}
