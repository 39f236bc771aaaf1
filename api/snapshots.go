package api

import (
	"strconv"
	"time"
)

// A Snapshot is a copy of all data as Parquet files (package snapshot): everything that
// follows from the ledger's first entries.
type Snapshot struct {
	Size       uint64    `json:"size" doc:"How many ledger entries it follows from."`
	Root       string    `json:"root" doc:"The root hash of that ledger, in base 64."`
	Rules      uint32    `json:"rules" doc:"The version of the rules that judges its last entry."`
	ReceivedAt time.Time `json:"received_at" doc:"When the ledger received its last entry."`
	// Path is where its files are, below the aggregator's base URL. SHA256SUMS there lists
	// them.
	Path  string `json:"path" doc:"Where its files are; SHA256SUMS there lists them."`
	Bytes uint64 `json:"bytes" doc:"The size of all its files."`
}

// SnapshotPath is where the files of the snapshot of so many ledger entries are.
func SnapshotPath(size uint64) string { return SnapshotFilesPath + "/" + strconv.FormatUint(size, 10) }
