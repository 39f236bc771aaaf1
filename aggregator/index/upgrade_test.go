package index_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
)

// gunzip returns a file of testdata.
func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// storedLedger reads the ledger of which an index was stored.
func storedLedger(t testing.TB, name string) *memory {
	t.Helper()
	var stored struct {
		Entries     []*ledger.Entry
		Attachments [][]byte
	}
	if err := json.Unmarshal(gunzip(t, name), &stored); err != nil {
		t.Fatal(err)
	}
	log := &memory{entries: stored.Entries, attachments: map[attestation.Digest][]byte{}}
	for _, e := range log.entries {
		if e.Kind == "from-the-future" { // which no aggregator wrote, and which moved nothing: so does this
			e.Kind, e.Body = ledger.Rules, []byte(`{"version":1}`)
		}
	}
	for _, data := range stored.Attachments {
		log.attachments[sha256.Sum256(data)] = data
	}
	return log
}

// restore puts a stored database in the place of the generation of a new store,
// and returns the options to open it.
func restore(t testing.TB, backup, name string) *clickhouse.Options {
	t.Helper()
	options := chdbtest.Database(t)
	base := options.Auth.Database
	conn := must(clickhouse.Open(chdbtest.Admin(t, options)))
	defer conn.Close()
	for _, statement := range []string{
		"CREATE TABLE generations (generation UInt32) ENGINE = MergeTree ORDER BY generation",
		"INSERT INTO generations (generation) VALUES (1)",
		"RESTORE DATABASE " + name + " AS " + base + "_1 EXCEPT TABLES " + name + ".touched FROM File('" + backup + "')",
		"CREATE TABLE " + base + "_1.touched (hash UInt64) ENGINE = Memory", // which cannot be read from an archive
	} {
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return options
}

// TestUpgrade opens indexes that the schema before migration 4 was written in:
// one at rest, one that was stopped in the middle of a batch, and one while what a
// revoked builder had claimed was judged again. Each says what an index made anew
// says, at once and after it has caught up.
func TestUpgrade(t *testing.T) {
	log := storedLedger(t, "schema-3/ledger.json.gz")
	backup := chdbtest.Backup(t, "schema-3.tar", gunzip(t, "schema-3/index.tar.gz"))
	w := &world{t: t, log: log}
	for _, name := range []string{"whole_1", "interrupted_1", "rejudging_1"} {
		t.Run(name, func(t *testing.T) {
			s := openStoreWith(t, restore(t, backup, name))
			var logged bytes.Buffer
			config := index.Config{MaxEntries: 7, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
			x := newIndex(t, config, s, log)
			if !strings.Contains(logged.String(), "filling in what is judged of each output") || strings.Contains(logged.String(), "anew") {
				t.Errorf("logged %q", logged.String())
			}
			if name == "whole_1" { // the others are ahead of their watermark
				compareWithModel(t, s, modelOf(w))
			}
			if err := x.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			comparePackages(t, s, log)
			logged.Reset()
			x = newIndex(t, config, s, log)
			if err := x.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if logged.Len() > 0 {
				t.Errorf("filled in again: %q", logged.String())
			}
			compareWithModel(t, s, modelOf(w))
		})
	}
}

func compareWithModel(t testing.TB, s *store.Store, want *result) {
	t.Helper()
	got, err := read(t.Context(), s.Current())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameResult); diff != "" {
		t.Errorf("index differs from model (-model +index):\n%s", diff)
	}
}

// comparePackages holds that an index which was filled in tells the packages that one made anew
// does.
func comparePackages(t *testing.T, s *store.Store, log *memory) {
	t.Helper()
	anew := openStoreWith(t, chdbtest.Database(t))
	if err := newIndex(t, index.Config{}, anew, log).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := func(s *store.Store) []store.PackageCount {
		return must(s.Current().Packages(t.Context(), "", store.Package{}, 1000))
	}
	want := list(anew)
	if diff := cmp.Diff(want, list(s)); diff != "" || len(want) < 3 {
		t.Errorf("%d packages (-anew +filled in):\n%s", len(want), diff)
	}
}

// TestUpgradeInterrupted begins to fill in several times, and damages a state: then
// the index is made anew.
func TestUpgradeInterrupted(t *testing.T) {
	log := storedLedger(t, "schema-3/ledger.json.gz")
	backup := chdbtest.Backup(t, "schema-3.tar", gunzip(t, "schema-3/index.tar.gz"))
	w := &world{t: t, log: log}
	options := restore(t, backup, "whole_1")
	s := openStoreWith(t, options)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := index.New(cancelled, index.Config{}, s, log); err == nil {
		t.Fatal("a cancelled context fills in")
	}
	conn := must(clickhouse.Open(options))
	defer conn.Close()
	database := options.Auth.Database + "_1"
	sql := func(statement string) {
		t.Helper()
		if err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	sql("INSERT INTO " + database + ".verdicts (hash, version) VALUES (7, 1000)") // left by an interrupted one
	// Changes of a batch whose states were not written are not the states'.
	sql("INSERT INTO " + database + ".verdict_changes SELECT DISTINCT output, 1000, 1, 2 FROM " + database + ".outputs")
	newIndex(t, index.Config{}, s, log)
	sql("ALTER TABLE " + database + ".verdict_changes DELETE WHERE log_index = 1000 SETTINGS mutations_sync = 1")
	compareWithModel(t, s, modelOf(w))

	damaged := restore(t, backup, "whole_1")
	sql("INSERT INTO " + damaged.Auth.Database + `_1.states
		SELECT hash, rest, version + 1, output, concat(char(3), char(0), char(0), substring(state, 2)) FROM ` + damaged.Auth.Database + `_1.states FINAL
		WHERE substring(state, 1, 1) != char(3) LIMIT 1`)
	s = openStoreWith(t, damaged)
	var logged bytes.Buffer
	x := newIndex(t, index.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))}, s, log)
	if !strings.Contains(logged.String(), "computing the index anew") {
		t.Errorf("logged %q", logged.String())
	}
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	compareWithModel(t, s, modelOf(w))
}
