package aggregator

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Two allocators share the memory that the server may use: Go's, and that of the
// embedded engine, neither of which knows of the other. Each gets a part. The rest is
// for the engine's library, which is mapped, for what it allocates aside from its own
// accounts, and for files in the page cache, which count too in a control group.
const (
	engineShare = 0.45
	goShare     = 0.30
	// aloneShare is Go's with a ClickHouse server.
	aloneShare = 0.75

	// maxEngineMemory bounds the engine on a large machine, in bytes. Merges and page
	// queries stay far below; a re-judgement of everything may come near.
	maxEngineMemory = 4 << 30
)

// availableMemory returns how many bytes the process may use: what its control group
// allows (version 1 or 2, with those around it), or what the machine has, if that is
// less.
func availableMemory() uint64 {
	machine, err := memlimit.FromSystem()
	if err != nil {
		machine = math.MaxInt64
	}
	group, err := memlimit.FromCgroup()
	if err != nil { // none, or none that limits
		return machine
	}
	return min(machine, group)
}

// engineMemory is what the embedded engine may allocate, in bytes.
func engineMemory(available uint64) int64 {
	return int64(min(maxEngineMemory, float64(available)*engineShare))
}

// LimitMemory makes Go's garbage collector work harder when the process comes near to
// what it may use, unless the environment says how much that is (GOMEMLIMIT). It is for
// the one program that the process runs.
func LimitMemory(ctx context.Context, config Config, logger *slog.Logger) {
	available := availableMemory()
	share, engine := goShare, engineMemory(available)
	if config.ClickHouse != "" {
		share, engine = aloneShare, 0
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(min(math.MaxInt64, float64(available)*share)))
	}
	logger.InfoContext(ctx, "memory", "available", available, "engine", engine, "go", debug.SetMemoryLimit(-1))
}
