package chdb_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
)

// everyType has a column of each kind that the store uses.
type everyType struct {
	ID      uint64              `ch:"id"`
	KeyText string              `ch:"key"`
	Digest  string              `ch:"digest"`
	At      time.Time           `ch:"at"`
	Words   []string            `ch:"words"`
	Lists   [][]uint32          `ch:"lists"`
	Kind    string              `ch:"kind"`
	Maybe   *int32              `ch:"maybe"`
	Traits  map[string]string   `ch:"traits"`
	Many    map[string][]uint64 `ch:"many"`
	Rate    float64             `ch:"rate"`
	Flag    bool                `ch:"flag"`
	Small   int8                `ch:"small"`
}

const everyTypeTable = `CREATE TABLE t (
	id UInt64, key FixedString(20), digest FixedString(32), at DateTime64(6, 'UTC'), words Array(String),
	lists Array(Array(UInt32)), kind LowCardinality(String), maybe Nullable(Int32), traits Map(LowCardinality(String), String),
	many Map(String, Array(UInt64)), rate Float64, flag Bool, small Enum8('zero' = 0, 'one' = 1)
) ENGINE = MergeTree ORDER BY id`

func row(id uint64) everyType {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], id)
	digest := sha256.Sum256(seed[:])
	value := everyType{
		ID: id, Digest: string(digest[:]), KeyText: string(digest[12:]),
		At:    time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC).Add(time.Duration(id) * time.Microsecond),
		Words: []string{}, Lists: [][]uint32{}, Kind: []string{"nar", "file", ""}[id%3],
		Traits: map[string]string{}, Many: map[string][]uint64{},
		Rate: float64(id) / 3, Flag: id%2 == 0,
	}
	if id%5 == 0 {
		maybe := int32(-id)
		value.Maybe = &maybe
		value.Words = []string{"", "\x00\xff", "wörter"}
		value.Lists = [][]uint32{{}, {1}, {2, 3}}
		value.Traits = map[string]string{"tz": "+01:00", "umask": "022"}
		value.Many = map[string][]uint64{"a": {id}, "b": {}}
	}
	return value
}

func TestRoundTrip(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		const rows = 100_000
		exec1(t, conn, everyTypeTable)
		batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t (id, key, digest, at, words, lists, kind, maybe, traits, many, rate, flag, small)")
		if err != nil {
			t.Fatal(err)
		}
		for id := range uint64(rows) {
			r := row(id)
			if err := batch.Append(r.ID, []byte(r.KeyText), []byte(r.Digest), r.At, r.Words, r.Lists, r.Kind, r.Maybe, r.Traits, r.Many, r.Rate, r.Flag, int8(id%2)); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}

		result, err := conn.Query(t.Context(), "SELECT id, key, digest, at, words, lists, kind, maybe, traits, many, rate, flag FROM t ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		id := uint64(0)
		for result.Next() {
			var got everyType
			if err := result.ScanStruct(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row(id), got); diff != "" {
				t.Fatalf("row %d (-inserted +read):\n%s", id, diff)
			}
			id++
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		if id != rows {
			t.Errorf("read %d rows, inserted %d", id, rows)
		}
	})
}

func TestFixedStringAsBytes(t *testing.T) {
	conn := open(t)
	want := sha256.Sum256([]byte("output"))
	exec1(t, conn, "CREATE TABLE t (digest FixedString(32)) ENGINE = Memory")
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(batch.Append(want[:]), batch.Send()); err != nil {
		t.Fatal(err)
	}
	if got := get[[]byte](t, t.Context(), conn, "SELECT digest FROM t"); !bytes.Equal(got, want[:]) {
		t.Errorf("read %x, inserted %x", got, want)
	}
}

func TestEmptyResult(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		exec1(t, conn, everyTypeTable)
		for _, query := range []string{"SELECT * FROM t", "SELECT 1 WHERE 0", "SHOW TABLES LIKE 'nothing'"} {
			rows, err := conn.Query(t.Context(), query)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			if rows.Next() {
				t.Errorf("%s gave a row", query)
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Errorf("%s: %v", query, err)
			}
		}
		var n uint64
		if err := conn.QueryRow(t.Context(), "SELECT id FROM t").Scan(&n); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("QueryRow without a row: got %v, want sql.ErrNoRows", err)
		}
	})
}

func TestColumns(t *testing.T) {
	inBothModes(t, func(t *testing.T, conn driver.Conn) {
		rows, err := conn.Query(t.Context(), "SELECT 1 AS one, 'x' AS letter")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if diff := cmp.Diff([]string{"one", "letter"}, rows.Columns()); diff != "" {
			t.Errorf("columns (-want +got):\n%s", diff)
		}
	})
}
