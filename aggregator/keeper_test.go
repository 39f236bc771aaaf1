package aggregator

import "github.com/ClickHouse/clickhouse-go/v2"

// options are those of a connection to a database of the embedded engine.
func (k *indexKeeper) options(database string) *clickhouse.Options {
	options := k.dir.options()
	options.Auth.Database = database
	return options
}
