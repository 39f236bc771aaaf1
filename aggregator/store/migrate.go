package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs the migrations that the generation has not had yet, in the order
// of their numbers. ClickHouse has no transactions over tables: a migration that
// was interrupted runs again, so each of its statements says IF (NOT) EXISTS.
func (t *Tables) migrate(ctx context.Context) error {
	if err := t.conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS migrations (number UInt32) ENGINE = MergeTree ORDER BY number`); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	var done uint32
	if err := t.conn.QueryRow(ctx, `SELECT max(number) FROM migrations`).Scan(&done); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if int(done) > len(files) {
		return fmt.Errorf("migrating: the tables are of version %d, this program knows %d: run a newer one, or reindex", done, len(files))
	}
	for i, file := range files[done:] {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return fmt.Errorf("migrating: %w", err)
		}
		for _, statement := range splitStatements(string(text)) {
			if err := t.conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("migrating: %s: %w", file, err)
			}
		}
		number := strconv.Itoa(int(done) + i + 1)
		if err := t.conn.Exec(ctx, `INSERT INTO migrations (number) VALUES (`+number+`)`); err != nil {
			return fmt.Errorf("migrating: %w", err)
		}
	}
	return nil
}

// splitStatements returns the statements of a migration without their comments.
// A semicolon in a comment or between quotes ends none, and what is only comment
// is none: a server refuses it.
func splitStatements(text string) []string {
	var statements []string
	var current strings.Builder
	end := func() {
		if statement := strings.TrimSpace(current.String()); statement != "" {
			statements = append(statements, statement)
		}
		current.Reset()
	}
	for len(text) > 0 {
		n := 1
		switch {
		case strings.HasPrefix(text, "--"):
			n = until(text, "\n")
			current.WriteByte('\n')
		case strings.HasPrefix(text, "/*"):
			n = until(text, "*/")
			current.WriteByte(' ')
		case text[0] == '\'' || text[0] == '"' || text[0] == '`':
			n = quoted(text)
			current.WriteString(text[:n])
		case text[0] == ';':
			end()
		default:
			current.WriteByte(text[0])
		}
		text = text[n:]
	}
	end()
	return statements
}

// until returns the length of text up to the end of the first mark in it.
func until(text, mark string) int {
	before, _, found := strings.Cut(text, mark)
	if !found {
		return len(text)
	}
	return len(before) + len(mark)
}

// quoted returns the length of the quoted text that begins here. A doubled quote
// is read as two quoted texts, which comes to the same.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return len(text)
}
