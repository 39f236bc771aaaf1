package chdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/chdb"
)

// openOnce is a process that adds a row to what earlier ones left and prints how many there are.
func openOnce(path string) {
	engine, conn := mustOpen(path)
	ctx := context.Background()
	must(conn.Exec(ctx, "INSERT INTO kept.t VALUES (1, 1)"))
	var rows uint64
	must(conn.QueryRow(ctx, "SELECT count() FROM kept.t").Scan(&rows))
	must(conn.Close())
	must(engine.Close())
	fmt.Println("rows", rows)
}

// insertForever is a process that inserts batch after batch and prints the number of each one
// that was acknowledged.
func insertForever(path string) {
	_, conn := mustOpen(path)
	ctx := context.Background()
	for number := uint64(0); ; number++ {
		must(insertBatch(ctx, conn, number))
		fmt.Println(number)
	}
}

const batchRows = 500

func insertBatch(ctx context.Context, conn driver.Conn, number uint64) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO kept.t")
	if err != nil {
		return err
	}
	for row := range uint64(batchRows) {
		if err := batch.Append(number, row); err != nil {
			return err
		}
	}
	return batch.Send()
}

func mustOpen(path string) (*chdb.Engine, driver.Conn) {
	ctx := context.Background()
	engine, err := chdb.Open(ctx, chdb.Config{Path: path})
	must(err)
	conn, err := clickhouse.Open(engine.Options(""))
	must(err)
	must(conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS kept ENGINE = Atomic"))
	must(conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS kept.t (batch UInt64, row UInt64) ENGINE = MergeTree ORDER BY (batch, row)"))
	return engine, conn
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// TestKill kills a process in the middle of its inserts, three times over, and looks for the
// batches it had reported as done.
func TestKill(t *testing.T) {
	path := t.TempDir()
	for round := range 3 {
		victim := child(t, insertingChild, path)
		victim.Stderr = os.Stderr
		out, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := uint64(0)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if acknowledged++; acknowledged == 40 {
				if err := victim.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = victim.Wait() // it was killed, and says so
		if acknowledged < 40 {
			t.Fatalf("round %d: the process ended by itself after %d batches", round, acknowledged)
		}
		counter := child(t, countingChild, path)
		counter.Stderr = os.Stderr
		text, err := counter.Output()
		if err != nil {
			t.Fatalf("round %d: opening what the killed process left: %v", round, err)
		}
		var whole, partial uint64
		if _, err := fmt.Sscanf(string(text), "whole %d partial %d", &whole, &partial); err != nil {
			t.Fatalf("round %d: the counting process says %q", round, text)
		}
		if whole < acknowledged || whole > acknowledged+1 || partial != 0 {
			t.Errorf("round %d: %d batches were acknowledged; there are %d whole and %d partial ones", round, acknowledged, whole, partial)
		}
	}
}

// countOnce is a process that prints how many batches there are and empties the table.
func countOnce(path string) {
	engine, conn := mustOpen(path)
	ctx := context.Background()
	var whole, partial uint64
	must(conn.QueryRow(ctx, `
		SELECT countIf(rows = {rows:UInt64}), countIf(rows != {rows:UInt64})
		FROM (SELECT batch, count() AS rows FROM kept.t GROUP BY batch)`, clickhouse.Named("rows", batchRows)).Scan(&whole, &partial))
	must(conn.Exec(ctx, "TRUNCATE TABLE kept.t SYNC"))
	must(conn.Close())
	must(engine.Close())
	fmt.Println("whole", whole, "partial", partial)
}

// closeOnce is a process that closes its engine while an INSERT is running and a result is being
// read, opens it again and prints what it saw.
func closeOnce(path string) {
	ctx := context.Background()
	engine, conn := mustOpen(path)
	reading, err := conn.Query(ctx, "SELECT number FROM numbers(100000000000)")
	must(err)
	if !reading.Next() {
		log.Fatal(reading.Err())
	}
	inserted := make(chan error)
	go func() {
		inserted <- conn.Exec(ctx, "INSERT INTO kept.t SELECT 2, number + sleepEachRow(0.001) FROM numbers(500)")
	}()
	time.Sleep(100 * time.Millisecond)
	must(engine.Close())
	must(engine.Close())
	fmt.Println("insert", <-inserted)
	for reading.Next() {
	}
	fmt.Println("reading closed", errors.Is(reading.Err(), chdb.ErrClosed))
	fmt.Println("request closed", errors.Is(conn.Exec(ctx, "SELECT 1"), chdb.ErrClosed))

	engine, conn = mustOpen(path)
	var rows uint64
	must(conn.QueryRow(ctx, "SELECT count() FROM kept.t").Scan(&rows))
	fmt.Println("rows", rows)
	must(engine.Close())
}

func TestClose(t *testing.T) {
	command := child(t, closingChild, t.TempDir())
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "insert <nil>\nreading closed true\nrequest closed true\nrows 500\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("closing (-want +got):\n%s", diff)
	}
}
