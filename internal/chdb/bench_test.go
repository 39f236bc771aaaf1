package chdb_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
)

func BenchmarkSelectOne(b *testing.B) {
	conn := open(b)
	for b.Loop() {
		get[uint8](b, b.Context(), conn, "SELECT 1")
	}
}

func BenchmarkInsert(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			conn := open(b)
			exec1(b, conn, `CREATE TABLE observations (oid FixedString(20), builder UInt32, log_index UInt64, digest FixedString(32))
				ENGINE = ReplacingMergeTree ORDER BY (oid, builder, log_index, digest)`)
			index := uint64(0)
			for b.Loop() {
				batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO observations")
				if err != nil {
					b.Fatal(err)
				}
				for range size {
					var seed [8]byte
					index++
					binary.BigEndian.PutUint64(seed[:], index)
					digest := sha256.Sum256(seed[:])
					if err := batch.Append(digest[:20], uint32(index%5), index, digest[:]); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
