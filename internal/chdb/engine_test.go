package chdb_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet/internal/chdb/chdbtest"
)

// open connects to a fresh database.
func open(t testing.TB) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(chdbtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSelect(t *testing.T) {
	conn := open(t)
	var n uint64
	if err := conn.QueryRow(t.Context(), "SELECT sum(number) FROM numbers(1000000)").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if want := uint64(499999500000); n != want {
		t.Errorf("sum is %d, want %d", n, want)
	}
}
