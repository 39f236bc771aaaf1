// Package aggregator is the server: it wires the way in (ingest), the ledger's
// writer, the index and the dashboard together, starts them in order and stops
// them in reverse.
//
// It owns its data directory, one process at a time:
//
//	ledger/        the public log: checkpoint, tiles, attachments
//	log.key        the log's signing key
//	index/         ClickHouse's files, when the engine is embedded
//	libp2p.key     the identity of the libp2p listener
//	pseudonyms.key what operators behind identities are named with
//	snapshots/     copies of all data as files, the newest
//	state.db       what is no evidence: requests to be enrolled
//	admin.sock     where administrative commands go while a server runs
//
// Only ledger/ and the keys cannot be rebuilt.
package aggregator
