package console

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"repronet.dev/api"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/snapshot"
)

// planted writes rows as the one file of a view.
func planted[Row any](t *testing.T, dir, view string, rows ...Row) {
	t.Helper()
	for _, v := range snapshot.Views() {
		if v.Name != view {
			continue
		}
		path := filepath.Join(dir, strings.ReplaceAll(v.Glob(), "*", "nix"))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := parquet.WriteFile(path, rows); err != nil {
			t.Fatal(err)
		}
	}
}

// small is a snapshot with a few outputs.
func small(t *testing.T) Snapshot {
	t.Helper()
	dir := t.TempDir()
	planted(t, dir, "outputs", snapshot.Output{Ecosystem: "nix", Output: "a", Build: "a.drv"}, snapshot.Output{Ecosystem: "nix", Output: "b"})
	planted(t, dir, "verdicts", snapshot.Verdict{Ecosystem: "nix", Output: "a", Verdict: "diverged", Shape: "split", Operators: 2, Digests: 2})
	planted(t, dir, "members", snapshot.Member{Set: "s", Output: "a", Maintainers: []string{"ann", "ben"}})
	return Snapshot{Name: "small", Dir: dir, Indexed: 7}
}

// opened returns a console over a snapshot, whose workers go without some guards.
func opened(t *testing.T, of Snapshot, limits Limits, without ...string) *Console {
	t.Helper()
	config := Config{Dir: t.TempDir(), Library: chdbtest.Library(t), Limits: limits}
	if len(without) > 0 {
		config.environment = []string{withoutVariable + "=" + strings.Join(without, ",")}
	}
	c, err := New(config, func() (Snapshot, error) { return of, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A bench is a worker that answers many questions, with the parser passed by.
type bench struct {
	*worker
	console *Console
}

func newBench(t *testing.T, of Snapshot, limits Limits, without ...string) *bench {
	t.Helper()
	c := opened(t, of, limits, append(without, "one")...)
	w, err := startWorker(t.Context(), c.config, of)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	return &bench{w, c}
}

// ask answers a query as it is, in CSV.
func (b *bench) ask(ctx context.Context, sql string) (string, error) {
	return b.askIn(ctx, api.SQLCSV, sql)
}

func (b *bench) askIn(ctx context.Context, format api.SQLFormat, sql string) (string, error) {
	var result bytes.Buffer
	limits := b.console.config.Limits
	err := b.answer(ctx, question{SQL: sql, Format: formats[format], Settings: b.console.settings(0), Bytes: limits.Bytes}, limits, &result)
	return result.String(), err
}
