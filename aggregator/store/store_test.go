package store_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/internal/chdb/chdbtest"
)

// database makes a database for the test, whose generations go with it, and
// returns a connection to it beside.
func database(t testing.TB) (*clickhouse.Options, clickhouse.Conn) {
	t.Helper()
	options := chdbtest.Database(t)
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	ended := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		for _, name := range generations(ended, t, conn) {
			if err := conn.Exec(ended, "DROP DATABASE "+name+" SYNC"); err != nil {
				t.Error(err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return options, conn
}

func generations(ctx context.Context, t testing.TB, conn clickhouse.Conn) []string {
	t.Helper()
	var names []string
	const query = `SELECT arraySort(groupArray(name)) FROM system.databases WHERE startsWith(name, currentDatabase() || '_')`
	if err := conn.QueryRow(ctx, query).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func open(t testing.TB, options *clickhouse.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// TestGenerations opens, replaces and opens again: an interrupted replacement
// leaves nothing behind.
func TestGenerations(t *testing.T) {
	options, conn := database(t)
	ctx := t.Context()
	base := options.Auth.Database

	first := open(t, options)
	if err := first.Current().Write(ctx, &store.Batch{Watermark: &store.Watermark{Size: 3}}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.NewGeneration(ctx); err != nil { // and then it is killed
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{base + "_1", base + "_2"}, generations(ctx, t, conn)); diff != "" {
		t.Fatalf("databases (-want +got):\n%s", diff)
	}

	second := open(t, options)
	if w, err := second.Current().Watermark(ctx); err != nil || w.Size != 3 {
		t.Errorf("after opening again: watermark %d, error %v, want 3", w.Size, err)
	}
	if diff := cmp.Diff([]string{base + "_1"}, generations(ctx, t, conn)); diff != "" {
		t.Fatalf("databases (-want +got):\n%s", diff)
	}
	tables, err := second.NewGeneration(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.Write(ctx, &store.Batch{Watermark: &store.Watermark{Size: 5}}); err != nil {
		t.Fatal(err)
	}
	if err := second.Swap(ctx, tables); err != nil {
		t.Fatal(err)
	}
	if w, err := open(t, options).Current().Watermark(ctx); err != nil || w.Size != 5 {
		t.Errorf("after the replacement: watermark %d, error %v, want 5", w.Size, err)
	}
	if diff := cmp.Diff([]string{base + "_2"}, generations(ctx, t, conn)); diff != "" {
		t.Errorf("databases (-want +got):\n%s", diff)
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	options, conn := database(t)
	open(t, options)
	if err := conn.Exec(t.Context(), "INSERT INTO "+options.Auth.Database+"_1.migrations (number) VALUES (1000)"); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "reindex") {
		t.Errorf("error %v, want one that says what to do", err)
	}
}

// TestStateOverSocket writes and reads states through ClickHouse's HTTP protocol
// on a real socket, as with a server.
func TestStateOverSocket(t *testing.T) {
	embedded, _ := database(t)
	server := httptest.NewServer(chdbtest.Open(t).Handler())
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), &clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{address.Host}, Auth: clickhouse.Auth{Database: embedded.Auth.Database},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	id := attestation.NewOutputID("nix", "/nix/store/x")
	var want store.State
	for version := range uint64(3) { // the newest row holds, whether merged or not
		want = store.State{Judged: store.Judged{
			ID: id, Version: version + 1, Output: 7, Previous: divergence.Single, Since: version, Judgement: divergence.Judgement{
				Verdict: divergence.Diverged, Shape: divergence.Outlier, Inputs: divergence.InputsDiffer, Operators: 5, Digests: 2,
			},
		}}
		want.Claims.Add(divergence.Claim{Builder: 3, Digest: attestation.Digest{1}, Index: version})
		want.Claims.Add(divergence.Claim{Builder: 4, Digest: attestation.Digest{2}, Index: version, Inputs: 9})
		if err := s.Current().Write(t.Context(), &store.Batch{States: []store.State{want}}); err != nil {
			t.Fatal(err)
		}
	}
	for got, err := range s.Current().OrderedVerdicts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want.Judged, got); diff != "" {
			t.Errorf("OrderedVerdicts (-want +got):\n%s", diff)
		}
	}
	unknown := attestation.NewOutputID("nix", "/nix/store/y")
	states, err := s.Current().States(t.Context(), []attestation.OutputID{unknown, id})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[attestation.OutputID]*store.State{id: &want}, states); diff != "" {
		t.Errorf("States (-want +got):\n%s", diff)
	}
	touched, err := s.Current().Touched(t.Context(), []attestation.OutputID{unknown, id})
	if err != nil {
		t.Fatal(err)
	}
	want.Judgement = divergence.Judgement{Verdict: want.Verdict} // which is all that it needs
	if diff := cmp.Diff(map[attestation.OutputID]*store.State{id: &want}, touched); diff != "" {
		t.Errorf("Touched (-want +got):\n%s", diff)
	}
}
