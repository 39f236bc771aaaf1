package aggregator

import (
	"context"
	"fmt"
	"os"
	"testing"

	"repronet.dev/aggregator/console"
	"repronet.dev/internal/chdb/chdbtest"
)

// TestMain is also the program of the console's workers.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != console.WorkerArgument {
		chdbtest.Exit(m.Run())
	}
	if err := console.Work(context.Background(), os.Stdin, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		chdbtest.Exit(1)
	}
	chdbtest.Exit(0)
}
