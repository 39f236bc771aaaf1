package servertest_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb/servertest"
)

// TestServer: what is written survives the end of the process, whichever way it came.
func TestServer(t *testing.T) {
	s := servertest.Start(t)
	for i, protocol := range []clickhouse.Protocol{clickhouse.Native, clickhouse.HTTP} {
		conn, err := clickhouse.Open(s.AdminOptions(protocol))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			for _, statement := range []string{"CREATE DATABASE kept", "CREATE TABLE kept.t (n UInt32) ENGINE = MergeTree ORDER BY n"} {
				if err := conn.Exec(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := conn.Exec(t.Context(), "INSERT INTO kept.t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		var rows uint64
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM kept.t").Scan(&rows); err != nil || rows != uint64(i+1) {
			t.Errorf("%s: %d rows, %v", protocol, rows, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
