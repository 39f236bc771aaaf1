package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"repronet.dev/api"
)

// checkFormats asks one question in every format.
func checkFormats(t *testing.T, b *bench) {
	t.Helper()
	for format, check := range map[api.SQLFormat]func(result []byte) error{
		api.SQLJSON: func(result []byte) error {
			var read api.SQLResult
			if err := json.Unmarshal(result, &read); err != nil {
				return err
			}
			want := api.SQLResult{Meta: []api.SQLColumn{{Name: "output", Type: "String"}, {Name: "n", Type: "UInt64"}}, Rows: 2}
			if string(read.Data[0][1]) != "1" {
				return errors.New("the rows are others")
			}
			read.Data = nil
			if diff := cmp.Diff(want, read); diff != "" {
				return errors.New(diff)
			}
			return nil
		},
		api.SQLCSV:   is("\"output\",\"n\"\n\"a\",1\n\"b\",0\n"),
		api.SQLLines: is("{\"output\":\"a\",\"n\":1}\n{\"output\":\"b\",\"n\":0}\n"),
		api.SQLArrow: func(result []byte) error {
			if !bytes.HasPrefix(result, []byte("ARROW1")) {
				return errors.New("it is no Arrow file")
			}
			return nil
		},
		api.SQLParquet: func(result []byte) error {
			rows, err := parquet.Read[struct {
				Output string `parquet:"output"`
				N      uint64 `parquet:"n"`
			}](bytes.NewReader(result), int64(len(result)))
			if err != nil || len(rows) != 2 || rows[0].Output != "a" || rows[0].N != 1 {
				return errors.Join(errors.New("the rows are others"), err)
			}
			return nil
		},
	} {
		result, err := b.askIn(t.Context(), format, "SELECT output, toUInt64(build IS NOT NULL) AS n FROM outputs ORDER BY output")
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if err := check([]byte(result)); err != nil {
			t.Errorf("%s: %v: %.300q", format, err, result)
		}
	}
}

func is(want string) func([]byte) error {
	return func(result []byte) error {
		if diff := cmp.Diff(want, string(result)); diff != "" {
			return errors.New(diff)
		}
		return nil
	}
}

// refusal is what a query is refused with: its type and a part of what it says.
func refusal[E error](t *testing.T, err error, reason string) {
	t.Helper()
	refused, ok := errors.AsType[E](err)
	if !ok || !strings.Contains(refused.Error(), reason) {
		t.Errorf("it ends with %v, want %T with %q", err, refused, reason)
	}
}

// checkErrors: each is of a kind that says what to do.
func checkErrors(t *testing.T, b *bench) {
	t.Helper()
	for sql, check := range map[string]func(t *testing.T, err error){
		"SELECT nothing FROM outputs": func(t *testing.T, err error) { refusal[*QueryError](t, err, "nothing") },
		"SELECT 1 + 'a'":              func(t *testing.T, err error) { refusal[*QueryError](t, err, "") },
		"SELECT arrayJoin(range(300000))": func(t *testing.T, err error) {
			refusal[*LimitError](t, err, "more than 1000 rows")
		},
		"SELECT repeat('x', 900000), repeat('y', 900000)": func(t *testing.T, err error) { refusal[*LimitError](t, err, "bytes") },
		"SELECT length(groupArray(repeat(toString(n), 1000))) FROM (SELECT arrayJoin(range(1000000)) AS n)": func(t *testing.T, err error) {
			refusal[*LimitError](t, err, "memory")
		},
	} {
		result, err := b.ask(t.Context(), sql)
		if err == nil {
			t.Errorf("%s: %.100q", sql, result)
			continue
		}
		check(t, err)
	}
}

// checkTime: a question that does not end in time is ended, whatever the engine thinks of it.
func checkTime(t *testing.T, b *bench) {
	t.Helper()
	begin := time.Now()
	endless := question{SQL: "SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1", Format: "CSV", Settings: map[string]string{}}
	err := b.answer(t.Context(), endless, Limits{Time: time.Second, Bytes: 1 << 20}, &bytes.Buffer{})
	refusal[*LimitError](t, err, "longer than 1s")
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestWorkers: what ends a worker, at any moment, ends one question at most; the next one is
// answered from the newest snapshot, also if a worker waits that has another; a closed console
// leaves nothing.
func TestWorkers(t *testing.T) {
	of := small(t)
	var mu sync.Mutex // guards of and lacks: workers are prepared beside this
	var lacks error
	c := opened(t, of, Limits{})
	c.newest = func() (Snapshot, error) {
		mu.Lock()
		defer mu.Unlock()
		return of, lacks
	}
	change := func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		of.Name, lacks = name, err
	}
	count := func(snapshot string) error {
		var result strings.Builder
		answer, err := c.Ask(t.Context(), api.SQLQuestion{SQL: "SELECT count() FROM outputs", Format: api.SQLLines}, &result)
		if err == nil && (result.String() != "{\"count()\":2}\n" || *answer != api.SQLAnswer{Snapshot: snapshot, Indexed: 7}) {
			return fmt.Errorf("%s of %+v", result.String(), answer)
		}
		return err
	}
	waiting := func() (w *worker) {
		for w == nil {
			c.mu.Lock()
			w = c.waiting
			c.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
		return w
	}
	if err := count("small"); err != nil {
		t.Fatal(err)
	}
	w := waiting()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-w.ended
	if err := count("small"); err != nil {
		t.Errorf("after the one that waited was killed: %v", err)
	}
	waiting()
	change("next", nil)
	if err := count("next"); err != nil {
		t.Errorf("with another snapshot: %v", err)
	}
	w = waiting()
	time.AfterFunc(200*time.Millisecond, func() { _ = w.cmd.Process.Kill() })
	_, err := c.ask(t.Context(), question{SQL: "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)", Format: "CSV", Settings: map[string]string{}}, &bytes.Buffer{})
	refusal[*LimitError](t, err, "memory or time")
	if err := count("next"); err != nil {
		t.Errorf("after one was killed in the middle of a question: %v", err)
	}
	change("next", ErrNoSnapshot)
	if err := count("next"); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("without a snapshot: %v", err)
	}
	c.Close()
	if err := count("next"); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed console says %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(c.config.Dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestSweep: what an earlier process left of its workers is removed, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"worker-1/engine", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(Config{Dir: dir, Library: "/nowhere/libchdb.so"}, func() (Snapshot, error) { return Snapshot{Dir: dir}, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(ctx, api.SQLQuestion{SQL: "SELECT 1", Format: api.SQLCSV}, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left is told %v", err)
	}
}
