package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"repronet.dev/internal/chdb/chdbtest"
)

// withoutVariable names, in the environment of a worker, the guards that it goes without:
// cage, seal and readonly. A worker without "one" answers many questions, so that a test of
// many needs no process for each.
const withoutVariable = "REPRONET_TEST_WITHOUT"

// TestMain is also the program of the tests' workers.
func TestMain(m *testing.M) {
	if sealed := os.Getenv(sealVariable); sealed != "" {
		if err := trySealed(context.Background(), sealed == "yes"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			chdbtest.Exit(1)
		}
		chdbtest.Exit(0)
	}
	if len(os.Args) < 2 || os.Args[1] != WorkerArgument {
		chdbtest.Exit(m.Run())
	}
	if err := workFor(context.Background(), strings.Split(os.Getenv(withoutVariable), ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		chdbtest.Exit(1)
	}
	chdbtest.Exit(0)
}

func workFor(ctx context.Context, without []string) error {
	if os.Getenv(enteredVariable) == "" && !slices.Contains(without, "cage") || len(without) == 1 && without[0] == "" {
		return Work(ctx, os.Stdin, os.Args[2:])
	}
	w, err := newEngine(ctx, os.Stdin, guards{readOnly: !slices.Contains(without, "readonly"), sealed: !slices.Contains(without, "seal")})
	for err == nil {
		err = w.answer(ctx)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
