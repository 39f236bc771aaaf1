package store

import (
	"context"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/attestation"
)

// A Document is an entry of third-party evidence and a builder in whose name it
// counts, or NoBuilder.
type Document struct {
	Index      uint64
	Builder    uint32
	Outputs    uint32
	ReceivedAt time.Time
	ID         attestation.Digest // see reading.Document
}

func documentColumns() []column[Document] {
	return []column[Document]{
		col("log_index", "UInt64", func(r *Document) uint64 { return r.Index }),
		col("builder", "UInt32", func(r *Document) uint32 { return r.Builder }),
		col("outputs", "UInt32", func(r *Document) uint32 { return r.Outputs }),
		col("received_at", "DateTime64(3, 'UTC')", func(r *Document) time.Time { return r.ReceivedAt }),
		col("id", "FixedString(32)", func(r *Document) []byte { return r.ID[:] }),
	}
}

// Documents yields all documents, in no particular order.
func (t *Tables) Documents(ctx context.Context) iter.Seq2[Document, error] {
	return scan(ctx, t.conn, func(rows driver.Rows) (d Document, err error) {
		var id []byte
		err = rows.Scan(&d.Index, &d.Builder, &d.Outputs, &d.ReceivedAt, &id)
		copy(d.ID[:], id)
		return d, err
	}, `SELECT log_index, builder, outputs, received_at, id FROM documents`)
}
