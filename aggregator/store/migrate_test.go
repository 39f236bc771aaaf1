package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitStatements(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"none", "", nil},
		{"two", "CREATE TABLE a (x Int8);\nDROP TABLE b\n", []string{"CREATE TABLE a (x Int8)", "DROP TABLE b"}},
		{"two on a line", "SELECT 1; SELECT 2;", []string{"SELECT 1", "SELECT 2"}},
		{"comment that ends in a semicolon", "-- One row;\n-- another:\nSELECT 1;\n", []string{"SELECT 1"}},
		{"comment behind a statement", "SELECT 1; -- and;\n/* so; */\n", []string{"SELECT 1"}},
		{"comment within", "SELECT /* ; */ 1, -- ;\n2", []string{"SELECT   1, \n2"}},
		{"comment without end", "SELECT 1; /* ;", []string{"SELECT 1"}},
		{"quotes", `SELECT ';', "--;", '/*', 'it\';', 'it'';' FROM ` + "`;`;", []string{`SELECT ';', "--;", '/*', 'it\';', 'it'';' FROM ` + "`;`"}},
		{"minus", "SELECT 3 - -1", []string{"SELECT 3 - -1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, splitStatements(test.text)); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMigrationsStay holds that a migration is never edited once a release had it:
// a new one is added, with its sum below.
func TestMigrationsStay(t *testing.T) {
	want := map[string]string{
		"0001_tables.sql":   "a3f6ac30c8ec60796cd5485c3fb9e806a20a26fc47b6c9fe2cd01860756324f7",
		"0002_copying.sql":  "056f10fba94d5b8458e6f476deb857a34fa09c64ff6ecae7188d7eb2dfd8b86c",
		"0003_search.sql":   "4fad50f47d6799cfee87e72dffac1b5234f0bb3bc70252377eabd0ccf451bb4d",
		"0004_verdicts.sql": "8002348f251f59074d49974ef8e18bf8a7a7716f15a5cab2134ba4f77bf5276a",
		"0005_origin.sql":   "a0d364daeefbe9d4902a17628ea597756debf447b9cd78337845ff4220e751d6",
		"0006_packages.sql": "7376c0f6e7ddeec50362e132591f84865c408c2b7ef25e48052db16eb8ff0576",
	}
	got := map[string]string{}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		got[path.Base(file)] = hex.EncodeToString(sum[:])
		for _, statement := range splitStatements(string(text)) {
			if first, _, _ := strings.Cut(statement, " "); first != "CREATE" && first != "ALTER" {
				t.Errorf("%s: a statement begins with %q", file, first)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SHA-256 of the migrations (-want +got): add a migration in place of an edit\n%s", diff)
	}
}
