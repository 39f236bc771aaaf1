package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/chdb/chdbtest"
)

func TestParameters(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		for _, text := range []string{"", "plain", "it's; DROP TABLE t --", "ünïcödé", "a?b{c}"} {
			ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"text": text, "n": "41"}))
			if got := get[string](t, ctx, conn, "SELECT {text:String}"); got != text {
				t.Errorf("parameter %q came as %q", text, got)
			}
			if got := get[uint64](t, ctx, conn, "SELECT {n:UInt64} + 1"); got != 42 {
				t.Errorf("41 + 1 is %d", got)
			}
		}
		// A parameter of one request is unknown to the next.
		var s string
		wantCode(t, conn.QueryRow(t.Context(), "SELECT {text:String}").Scan(&s), 456)
		exec1(t, conn, "CREATE TABLE t (a UInt8, b Array(String)) ENGINE = Memory")
		ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"a": "7", "b": "['x','y']"}))
		if err := conn.Exec(ctx, "INSERT INTO t VALUES ({a:UInt8}, {b:Array(String)})"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"x", "y"}, get[[]string](t, t.Context(), conn, "SELECT b FROM t WHERE a = 7")); diff != "" {
			t.Errorf("inserted by parameters (-want +got):\n%s", diff)
		}
	})
}

const readSetting = "SELECT toString(getSetting('%s'))"

func TestSettings(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		memory := fmt.Sprintf(readSetting, "max_memory_usage")
		threads := fmt.Sprintf(readSetting, "max_threads")
		name := fmt.Sprintf(readSetting, "count_distinct_implementation")
		baseline := get[string](t, t.Context(), conn, memory)
		if baseline == "0" {
			t.Fatal("statements have no memory limit")
		}
		before := get[string](t, t.Context(), conn, threads)
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
			"max_memory_usage": 123_456_789, "max_threads": 7, "count_distinct_implementation": "uniqCombined",
		}))
		for range 3 {
			got := []string{get[string](t, ctx, conn, memory), get[string](t, ctx, conn, threads), get[string](t, ctx, conn, name)}
			if diff := cmp.Diff([]string{"123456789", "7", "uniqCombined"}, got); diff != "" {
				t.Errorf("settings of the request (-want +got):\n%s", diff)
			}
			got = []string{get[string](t, t.Context(), conn, memory), get[string](t, t.Context(), conn, threads), get[string](t, t.Context(), conn, name)}
			if diff := cmp.Diff([]string{baseline, before, "uniqExact"}, got); diff != "" {
				t.Errorf("settings of the next request (-want +got):\n%s", diff)
			}
		}
		readonly := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"readonly": 1}))
		wantCode(t, conn.Exec(readonly, "CREATE TABLE refused (x UInt8) ENGINE = Memory"), 164)
		unknown := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 1}))
		wantCode(t, conn.Exec(unknown, "SELECT 1"), 115)
		malformed := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"x = 1, y": 1}))
		wantCode(t, conn.Exec(malformed, "SELECT 1"), 1002)
	})
}

// TestRequestsAreSeparate runs statements that change the session they run in.
func TestRequestsAreSeparate(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		database := get[string](t, t.Context(), conn, "SELECT currentDatabase()")
		for range 2 * 8 { // each session of the pool at least once
			exec1(t, conn, "SET max_threads = 5")
			exec1(t, conn, "USE system")
			exec1(t, conn, "CREATE TEMPORARY TABLE passing (x UInt8)")
			if got := get[string](t, t.Context(), conn, fmt.Sprintf(readSetting, "max_threads")); got == "5" {
				t.Fatal("SET reached the next request")
			}
			if got := get[string](t, t.Context(), conn, "SELECT currentDatabase()"); got != database {
				t.Fatalf("USE reached the next request: its database is %s", got)
			}
			wantCode(t, conn.Exec(t.Context(), "SELECT * FROM passing"), 60)
		}
	})
}

func TestErrors(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, "CREATE TABLE t (n UInt64) ENGINE = Memory")
		for _, test := range []struct {
			sql  string
			code int32
		}{
			{"SELECT * FROM nothing", 60},
			{"SELEKT 1", 62},
			{"SELECT 1; SELECT 2", 62},
			{"", 62},
			{"-- only a comment that ends in a semicolon;\n", 62},
			{" /* so\nis this */ ; # and this", 62},
			{"DROP TABLE t; SELECT 1", 62},
			{"SHOW CREATE TABLE nothing", 390},
			{"CREATE TABLE t (n UInt64) ENGINE = Memory", 57},
			{"INSERT INTO t VALUES ('no number')", 6},
			{"SELECT throwIf(1)", 395},
		} {
			t.Run(test.sql, func(t *testing.T) {
				wantCode(t, conn.Exec(t.Context(), test.sql), test.code)
				var n uint8
				wantCode(t, conn.QueryRow(t.Context(), test.sql).Scan(&n), test.code)
			})
		}
		exec1(t, conn, "INSERT INTO t VALUES (1)") // the table is still there
		exec1(t, conn, "SELECT 1; -- one statement, with what may follow it\n")
	})
}

func TestErrorInBatch(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, "CREATE TABLE t (n UInt64, CONSTRAINT small CHECK n < 1000) ENGINE = MergeTree ORDER BY n")
		batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(2000) {
			if err := batch.Append(n); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, batch.Send(), 469)
		if n := get[uint64](t, t.Context(), conn, "SELECT count() FROM t"); n != 0 {
			t.Errorf("a refused batch left %d rows", n)
		}
		_, err = conn.PrepareBatch(t.Context(), "INSERT INTO nothing")
		wantCode(t, err, 60)
	})
}

func TestErrorMidStream(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		for _, message := range []string{"short", strings.Repeat("long ", 10_000)} {
			rows, err := conn.Query(t.Context(), "SELECT number, throwIf(number = 3000000, '"+message+"') FROM numbers(10000000) SETTINGS max_threads = 1")
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			for rows.Next() {
				read++
			}
			wantCode(t, rows.Err(), 395)
			if got := rows.Err().Error(); strings.Contains(got, "__exception__") || strings.Count(got, "message: "+message[:5]) != 1 {
				t.Errorf("the error says %.2000q, want ClickHouse's text alone", got)
			}
			_ = rows.Close() // tells of the error again
			if read == 0 {
				t.Error("no row came before the error")
			}
		}
		exec1(t, conn, "SELECT 1")
	})
}

func TestMemoryCap(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_memory_usage": 50_000_000}))
		for range 3 {
			wantCode(t, conn.Exec(ctx, "SELECT uniqExact(number) FROM numbers(50000000)"), 241)
		}
		exec1(t, conn, "SELECT 1")
	})
}

// slow runs for five minutes if it is not stopped. Bounds below are far under that, and
// far over what a busy machine takes.
const slow = "SELECT sum(sleepEachRow(0.01)) FROM numbers(30000) SETTINGS max_block_size = 10, function_sleep_max_microseconds_per_block = 1000000000"

func TestCancelRunning(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		// More of them than there are sessions: the places have to become free again.
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			begin := time.Now()
			err := conn.Exec(ctx, slow)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want DeadlineExceeded", err)
			}
			if took := time.Since(begin); took > time.Minute {
				t.Fatalf("returned %v after the beginning", took)
			}
		}
		begin := time.Now()
		exec1(t, conn, "SELECT 1")
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("the next statement took %v", took)
		}
	})
}

// TestCancelWaiting ends contexts of requests that wait for a place in the pool.
func TestCancelWaiting(t *testing.T) {
	options := chdbtest.Database(t)
	options.MaxOpenConns = 20 // more than the engine has places
	conn := dial(t, options)
	running, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { _ = conn.Exec(running, slow) })
	}
	time.Sleep(200 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := conn.Exec(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a place: got %v, want DeadlineExceeded", err)
	}
	stop()
	wait.Wait()
	exec1(t, conn, "SELECT 1")
}

func TestCancelReading(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			rows, err := conn.Query(ctx, "SELECT number, sipHash64(number) FROM numbers(10000000000)")
			if err != nil {
				t.Fatal(err)
			}
			if !rows.Next() {
				t.Fatal(rows.Err())
			}
			begin := time.Now()
			cancel()
			_ = rows.Close() // may tell of the ended context
			if took := time.Since(begin); took > 20*time.Second {
				t.Fatalf("closing took %v", took)
			}
		}
		exec1(t, conn, "SELECT 1")
	})
}

// TestInsertOutlivesContext ends the context while a slow table takes a batch in.
func TestInsertOutlivesContext(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, "CREATE TABLE t (n UInt64, slow UInt8 DEFAULT sleepEachRow(0.006)) ENGINE = MergeTree ORDER BY n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (n)")
		if err != nil {
			t.Fatal(err)
		}
		const rows = 400
		for n := range uint64(rows) {
			if err := batch.Append(n); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want DeadlineExceeded", err)
		}
		for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			n := get[uint64](t, t.Context(), conn, "SELECT count() FROM t")
			if n == rows {
				break
			}
			if n != 0 || time.Since(begin) > time.Minute {
				t.Fatalf("%d rows of the %d of the batch %v after it was given up", n, rows, time.Since(begin))
			}
		}
	})
}

func TestConcurrency(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, "CREATE TABLE t (worker UInt64, n UInt64) ENGINE = MergeTree ORDER BY (worker, n)")
		const workers, rounds = 16, 20
		var wait sync.WaitGroup
		for worker := range uint64(workers) {
			wait.Go(func() {
				for round := range uint64(rounds) {
					// Each request has settings of its own, and must see just these.
					ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_insert_threads": worker%3 + 1}))
					batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(batch.Append(worker, round), batch.Send()); err != nil {
						t.Error(err)
						return
					}
					var mine uint64
					var threads string
					if err := conn.QueryRow(ctx, "SELECT count(), toString(getSetting('max_insert_threads')) FROM t WHERE worker = ?", worker).Scan(&mine, &threads); err != nil {
						t.Error(err)
						return
					}
					if mine != round+1 || threads != fmt.Sprint(worker%3+1) {
						t.Errorf("worker %d: %d rows after %d batches, max_insert_threads %s", worker, mine, round+1, threads)
					}
				}
			})
		}
		wait.Wait()
		if n := get[uint64](t, t.Context(), conn, "SELECT count() FROM t"); n != workers*rounds {
			t.Errorf("%d rows, want %d", n, workers*rounds)
		}
	})
}

// TestRecover makes sure that the engine has left Go its signal handlers.
func TestRecover(t *testing.T) {
	exec1(t, open(t), "SELECT 1")
	defer func() {
		if recover() == nil {
			t.Error("a nil dereference did not panic")
		}
	}()
	var config *chdb.Config
	t.Error(config.Path)
}

func TestDefinitions(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, "CREATE TABLE t (n UInt64, at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree ORDER BY n PARTITION BY n % 2")
		exec1(t, conn, "CREATE TABLE sums (k UInt8, s AggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY k")
		exec1(t, conn, "CREATE MATERIALIZED VIEW mv TO sums AS SELECT toUInt8(n % 2) AS k, sumState(n) AS s FROM t GROUP BY k")
		exec1(t, conn, "INSERT INTO t (n) SELECT number FROM numbers(10)")
		exec1(t, conn, "ALTER TABLE t ADD COLUMN note String DEFAULT 'none'")
		exec1(t, conn, "ALTER TABLE t DROP PARTITION 1")
		exec1(t, conn, "OPTIMIZE TABLE t FINAL")
		if n := get[uint64](t, t.Context(), conn, "SELECT count() FROM t WHERE note = 'none'"); n != 5 {
			t.Errorf("%d rows after dropping a partition, want 5", n)
		}
		if n := get[uint64](t, t.Context(), conn, "SELECT sumMerge(s) FROM sums WHERE k = 1"); n != 25 {
			t.Errorf("the view's sum is %d, want 25", n)
		}
		exec1(t, conn, "CREATE TABLE u AS t")
		exec1(t, conn, "EXCHANGE TABLES t AND u")
		if n := get[uint64](t, t.Context(), conn, "WITH x AS (SELECT count() AS c FROM u) SELECT c FROM x"); n != 5 {
			t.Errorf("%d rows after exchanging, want 5", n)
		}
		exec1(t, conn, "TRUNCATE TABLE u")
		exec1(t, conn, "DROP TABLE u SYNC")
	})
}

func TestBackup(t *testing.T) {
	conn := open(t)
	exec1(t, conn, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	exec1(t, conn, "INSERT INTO t SELECT number FROM numbers(100000)")
	database := get[string](t, t.Context(), conn, "SELECT currentDatabase()")
	exec1(t, conn, "BACKUP DATABASE "+database+" TO File('"+database+".tar')")
	exec1(t, conn, "INSERT INTO t SELECT number FROM numbers(5)")
	exec1(t, conn, "RESTORE DATABASE "+database+" AS "+database+"_restored FROM File('"+database+".tar')")
	defer exec1(t, conn, "DROP DATABASE "+database+"_restored SYNC")
	if n := get[uint64](t, t.Context(), conn, "SELECT count() FROM "+database+"_restored.t"); n != 100_000 {
		t.Errorf("restored %d rows, backed up 100000", n)
	}
}

func TestMissingDatabase(t *testing.T) {
	conn, err := clickhouse.Open(chdbtest.Open(t).Options("no_such_database"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wantCode(t, conn.Ping(t.Context()), 81)
}

// TestUnsupported makes sure that what the engine cannot do is refused in words.
func TestUnsupported(t *testing.T) {
	options := chdbtest.Database(t)
	options.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	conn := dial(t, options)
	if err := conn.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "Options.Compression") {
		t.Errorf("compression: got %v, want an error that names the option", err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://embedded/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := chdbtest.Open(t).Transport().RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a request without a statement has status %d", response.StatusCode)
	}
}
