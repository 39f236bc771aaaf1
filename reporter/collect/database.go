package collect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"repronet.dev/attestation"
)

// A database is a Nix store's, open for reading.
type database struct{ *sql.DB }

// openDatabase opens db.sqlite without changing it. It is not opened as
// immutable: what Nix registered a moment ago is in its write-ahead log only.
func openDatabase(store *nixStore) (*database, error) {
	path := filepath.Join(store.state, "db", "db.sqlite")
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)"}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &database{db}, nil
}

// A registration is what the database knows of a store path.
type registration struct {
	path       string
	digest     attestation.Digest
	registered time.Time
	ultimate   bool // built on this machine
}

const registrationColumns = `path, hash, registrationTime, ifnull(ultimate, 0)`

// registrations returns what is known of the paths that are valid.
func (db *database) registrations(ctx context.Context, paths []string) (map[string]registration, error) {
	query := `SELECT ` + registrationColumns + ` FROM ValidPaths WHERE path IN (` + placeholders(len(paths)) + `)`
	return db.queryRegistrations(ctx, query, anys(paths)...)
}

// derived returns the paths that a derivation made; for a content-addressed one
// the database has no other trace that leads there.
func (db *database) derived(ctx context.Context, drv string) (map[string]registration, error) {
	return db.queryRegistrations(ctx, `SELECT `+registrationColumns+` FROM ValidPaths WHERE deriver = ?`, drv)
}

func (db *database) queryRegistrations(ctx context.Context, query string, args ...any) (map[string]registration, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	defer rows.Close()
	result := make(map[string]registration)
	for rows.Next() {
		var r registration
		var hash string
		var seconds int64
		if err := rows.Scan(&r.path, &hash, &seconds, &r.ultimate); err != nil {
			return nil, fmt.Errorf("reading the Nix database: %w", err)
		}
		if r.digest, err = attestation.ParseDigest(hash); err != nil {
			return nil, fmt.Errorf("reading the Nix database: %s: %w", r.path, err)
		}
		r.registered = time.Unix(seconds, 0)
		result[r.path] = r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	return result, nil
}

// errInputs means that the database does not know all inputs.
var errInputs = errors.New("not all inputs are registered")

// An input is one path of a build's input closure.
type input struct {
	path   string
	digest attestation.Digest
}

// closure returns the paths of the closure of a derivation's inputs that are not
// content-addressed, sorted. (SQLite takes three times as long to sort them.)
func (db *database) closure(ctx context.Context, sources []string, derivations map[string][]string) ([]input, error) {
	roots, args := []string{`SELECT id FROM ValidPaths WHERE path IN (` + placeholders(len(sources)) + `)`}, anys(sources)
	expected := len(sources)
	for drv, outputs := range derivations {
		roots = append(roots, `SELECT p.id FROM ValidPaths d JOIN DerivationOutputs o ON o.drv = d.id JOIN ValidPaths p ON p.path = o.path
			WHERE d.path = ? AND o.id IN (`+placeholders(len(outputs))+`)`)
		args = append(append(args, drv), anys(outputs)...)
		expected += len(outputs)
	}
	union := strings.Join(roots, " UNION ALL ")
	var known int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (`+union+`)`, args...).Scan(&known); err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	if known != expected {
		return nil, fmt.Errorf("%w: %d of %d", errInputs, known, expected)
	}
	rows, err := db.QueryContext(ctx, `WITH RECURSIVE closure(id) AS (SELECT id FROM (`+union+`)
		UNION SELECT reference FROM Refs JOIN closure ON referrer = closure.id)
		SELECT path, hash FROM closure CROSS JOIN ValidPaths USING (id) WHERE ca IS NULL`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	defer rows.Close()
	var inputs []input
	for rows.Next() {
		var path, hash string
		if err := rows.Scan(&path, &hash); err != nil {
			return nil, fmt.Errorf("reading the Nix database: %w", err)
		}
		digest, err := attestation.ParseDigest(hash)
		if err != nil {
			return nil, fmt.Errorf("reading the Nix database: %s: %w", path, err)
		}
		inputs = append(inputs, input{path, digest})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the Nix database: %w", err)
	}
	slices.SortFunc(inputs, func(a, b input) int { return strings.Compare(a.path, b.path) })
	return inputs, nil
}

func placeholders(n int) string {
	if n == 0 {
		return ""
	}
	return strings.Repeat("?,", n-1) + "?"
}

func anys(values []string) []any {
	result := make([]any, len(values))
	for i, v := range values {
		result[i] = v
	}
	return result
}

// unreadable reports an error that means that there is no database to read here,
// rather than one that says something else than expected.
func unreadable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
