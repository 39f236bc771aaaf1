package chdb

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	native "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloBlock makes the answer to helloQuery. The driver reads this one block in its own newest
// revision and all later ones in the revision it finds in the block: 0, which is plain Native,
// what the engine writes.
func helloBlock(s *session) ([]byte, error) {
	row, err := s.query("SELECT version(), timezone()", "TSV", nil)
	if err != nil {
		return nil, err
	}
	version, timezone, ok := strings.Cut(strings.TrimSpace(string(row)), "\t")
	if !ok {
		return nil, fmt.Errorf("the engine says %q", row)
	}
	block := native.NewBlock()
	for _, col := range []struct {
		name string
		typ  column.Type
	}{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(col.name, col.typ); err != nil {
			return nil, err
		}
	}
	if err := block.Append("libchdb", version, uint32(0), timezone); err != nil {
		return nil, err
	}
	var buffer proto.Buffer
	if err := block.Encode(&buffer, clickhouse.ClientTCPProtocolVersion); err != nil {
		return nil, err
	}
	return buffer.Buf, nil
}
