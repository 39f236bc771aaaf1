package index_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/ledgertest"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// memory is a ledger in memory.
type memory struct {
	mu          sync.Mutex // guards everything below
	entries     []*ledger.Entry
	attachments map[attestation.Digest][]byte
}

func (l *memory) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.entries))
}

func (l *memory) Entries(_ context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
	l.mu.Lock()
	entries := l.entries[from:to]
	l.mu.Unlock()
	return func(yield func(*ledger.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *memory) Attachment(_ context.Context, sum attestation.Digest) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, ok := l.attachments[sum]
	if !ok {
		return nil, fmt.Errorf("attachment %s: %w", sum, fs.ErrNotExist)
	}
	return data, nil
}

func (l *memory) Erasures(ctx context.Context, from, to uint64) ([]attestation.Digest, error) {
	return reading.Erasures(records{l}.Records(ctx, from, to))
}

// A world is a ledger and those who write to it.
type world struct {
	t   testing.TB
	log *memory
	now time.Time
}

func newWorld(t testing.TB) *world {
	log := &memory{attachments: map[attestation.Digest][]byte{}}
	ledgertest.KeepEntries(t, func() ([]*ledger.Entry, [][]byte) {
		return log.entries, slices.Collect(maps.Values(log.attachments))
	})
	return &world{t: t, log: log, now: time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)}
}

func (w *world) append(kind ledger.Kind, body []byte) uint64 {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.log.entries = append(w.log.entries, &ledger.Entry{Kind: kind, ReceivedAt: w.now, Body: body})
	return uint64(len(w.log.entries) - 1)
}

// must stands for errors that only a broken test has.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (w *world) enrol(signer *signing.Signer, operator string, tier enrolment.Tier) uint64 {
	e := enrolment.Enrolment{
		Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: operator, Tier: tier,
	}
	return w.append(ledger.Enrolment, must(e.Encode()))
}

func (w *world) revoke(signer *signing.Signer, from uint64) uint64 {
	r := enrolment.Revocation{Builder: signer.Public().Builder(), From: from, Reason: "for the test"}
	return w.append(ledger.Revocation, must(r.Encode()))
}

func (w *world) attest(signer *signing.Signer, s *attestation.Statement) uint64 {
	return w.append(ledger.Attestation, must(signer.Sign(w.t.Context(), s)))
}

func (w *world) publish(name, revision, ecosystem string, members []pkgset.Member) uint64 {
	attachment := must(pkgset.Encode(ecosystem, members))
	sum := attestation.Digest(sha256.Sum256(attachment))
	w.log.attachments[sum] = attachment
	e := pkgset.Entry{Name: name, Revision: revision, Ecosystem: ecosystem, Members: pkgset.Count(members), SHA256: sum}
	return w.append(ledger.PackageSet, must(e.Encode()))
}

// digest is the digest of some text.
func digest(text string) attestation.Digest { return sha256.Sum256([]byte(text)) }

// rebuild is a statement of one build for each output; keys and digests
// alternate.
func (w *world) rebuild(ecosystem string, claims ...string) *attestation.Statement {
	s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: ecosystem, DigestKind: attestation.File}
	for pair := range slices.Chunk(claims, 2) {
		s.Builds = append(s.Builds, attestation.Build{
			Name: "acme/" + pair[0], Outputs: []int{len(s.Subjects)}, Finished: w.now, Occasion: attestation.OccasionBuild,
		})
		s.Subjects = append(s.Subjects, attestation.Subject{Name: key(pair[0]), Digest: digest(pair[1])})
	}
	return s
}

// key is the output key of a build of a world.
func key(name string) string { return "acme/" + name + "^out" }

// openStore opens a store in a database of the test's own.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	return openStoreWith(t, chdbtest.Database(t))
}

func openStoreWith(t testing.TB, options *clickhouse.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	ended := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
		dropGenerations(ended, t, options)
	})
	return s
}

// dropGenerations removes the databases that a store made beside its own.
func dropGenerations(ctx context.Context, t testing.TB, options *clickhouse.Options) {
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Errorf("dropping the store's databases: %v", err)
		return
	}
	defer conn.Close()
	var names []string
	err = conn.QueryRow(ctx, `SELECT groupArray(name) FROM system.databases WHERE startsWith(name, currentDatabase() || '_')`).Scan(&names)
	for _, name := range names {
		if err == nil {
			err = conn.Exec(ctx, "DROP DATABASE "+name+" SYNC")
		}
	}
	if err != nil {
		t.Errorf("dropping the store's databases: %v", err)
	}
}

func newIndex(t testing.TB, config index.Config, s *store.Store, l index.Ledger) *index.Index {
	t.Helper()
	x, err := index.New(t.Context(), config, s, l)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return x
}
