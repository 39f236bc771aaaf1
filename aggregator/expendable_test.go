package aggregator

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/aggregator/admin"
)

// answer returns the status of a path, what it says, and when to ask again.
func (w *world) answer(path string) (status int, text, retry string) {
	w.t.Helper()
	response, err := http.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header.Get("Retry-After")
}

// summary waits until pages are answered, and returns the summary.
func (w *world) summary() string {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, text, _ := w.answer("/api/v1/summary")
		if status == http.StatusOK && w.keeper.indexed.Load() == w.log.Size() {
			return text
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the summary is not answered: %d %s", status, text)
		}
	}
}

// damage changes the generation of the index that is current.
func (w *world) damage(statement string) {
	w.t.Helper()
	control, err := clickhouse.Open(w.keeper.options("repronet"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer control.Close()
	var generation uint32
	if err := control.QueryRow(w.t.Context(), "SELECT max(generation) FROM generations").Scan(&generation); err != nil {
		w.t.Fatal(err)
	}
	conn, err := clickhouse.Open(w.keeper.options(fmt.Sprintf("repronet_%d", generation)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(w.t.Context(), statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

// TestIndexIsExpendable lets things happen to the index of a server that runs: the
// ledger is served meanwhile, and the index comes back as it was.
func TestIndexIsExpendable(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	want := w.summary()

	t.Run("pages while it cannot be read", func(t *testing.T) {
		why := "the index is made anew"
		w.keeper.mu.Lock() // or it would be opened again
		w.keeper.trouble.Store(&why)
		for path, want := range map[string]int{
			"/": 503, "/api/v1/summary": 503, "/api/v1/export/verdicts": 503,
			"/log/checkpoint": 200, "/log/key": 200, "/healthz/ready": 200, "/api/v1/builders.json": 200,
		} {
			status, text, retry := w.answer(path)
			if status != want {
				t.Errorf("%s: %d, want %d: %s", path, status, want, text)
			}
			if want == 503 && (retry == "" || !strings.Contains(text, why)) {
				t.Errorf("%s says %q, and to ask again after %q", path, text, retry)
			}
		}
		w.keeper.mu.Unlock()
		if got := w.summary(); got != want {
			t.Errorf("after that the summary is %s, it was %s", got, want)
		}
	})
	t.Run("removed", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(w.config.Data, "index")); err != nil {
			t.Fatal(err)
		}
		for w.keeper.remade.Load() == 0 { // in a moment
			time.Sleep(10 * time.Millisecond)
		}
		if got := w.summary(); got != want {
			t.Errorf("made anew, the summary is %s, it was %s", got, want)
		}
	})
	t.Run("of another ledger", func(t *testing.T) {
		for _, change := range []string{"origin = 'another.example.org/log+00000000+x'", "root = unhex(repeat('ab', 32))"} {
			generation := w.store.Current()
			w.damage("ALTER TABLE watermark UPDATE " + change + " WHERE 1 SETTINGS mutations_sync = 1")
			if err := w.keeper.again(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.store.Current() == generation {
				t.Errorf("with %s the index was kept", change)
			}
			if err := w.index.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.summary(); got != want {
				t.Errorf("made anew, the summary is %s, it was %s", got, want)
			}
		}
	})
	t.Run("reindexed when damaged", func(t *testing.T) {
		w.damage("DROP TABLE outputs SYNC")
		if _, err := (administration{w.Aggregator}).reindex(t.Context(), admin.None{}, admin.Streams{Progress: &bytes.Buffer{}}); err != nil {
			t.Error(err)
		}
		if got := w.summary(); got != want {
			t.Errorf("after the reindexing the summary is %s, it was %s", got, want)
		}
	})
}
