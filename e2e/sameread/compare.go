package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/e2e/answers"
	"repronet.dev/e2e/network"
)

// A comparer reads ledgers by two versions.
type comparer struct {
	before, after network.Programs
	options       answers.Options
	stdout        io.Writer
}

// all compares ledgers, some at a time, and prints for each a line and what differs, in
// the order in which they were given.
func (c *comparer) all(ctx context.Context, ledgers []string, atOnce int) (same bool, err error) {
	reports := make([]chan report, len(ledgers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, atOnce) + 1) // and the one that prints
	for i := range reports {
		reports[i] = make(chan report, 1)
	}
	same = true
	group.Go(func() error {
		for _, ready := range reports {
			select {
			case r := <-ready:
				fmt.Fprint(c.stdout, r.text)
				same = same && r.same
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for i, ledger := range ledgers {
		group.Go(func() error {
			r, err := c.one(ctx, ledger)
			if err == nil {
				reports[i] <- r
			}
			return err
		})
	}
	return same, group.Wait()
}

// A report is what became of a ledger.
type report struct {
	text string
	same bool
}

func (c *comparer) one(ctx context.Context, ledger string) (report, error) {
	begin := time.Now()
	was, refused := answers.Read(ctx, c.before, ledger, c.options)
	is, refuses := answers.Read(ctx, c.after, ledger, c.options)
	if ctx.Err() != nil {
		return report{}, ctx.Err()
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%-48s ", filepath.Base(ledger))
	if refused == nil && errors.Is(refuses, answers.ErrUndecided) {
		fmt.Fprintf(&text, "not compared: the newer version stops before an entry of an unknown kind, as its rules say\n")
		return report{text.String(), true}, nil
	}
	if refused != nil || refuses != nil {
		fmt.Fprintf(&text, "\n  the older version: %v\n  the newer version: %v\n", refused, refuses)
		return report{text.String(), refused != nil && refuses != nil}, nil
	}
	compared := answers.Compare(was, is)
	fmt.Fprintf(&text, "%5s entries %5d answers: %5d the same byte for byte, %d different (%.1f s)\n",
		was["entries"], len(was), compared.Same, len(compared.Different), time.Since(begin).Seconds())
	for _, what := range compared.Added {
		fmt.Fprintf(&text, "  only in the newer: %s\n", what)
	}
	for _, what := range compared.Different {
		fmt.Fprintf(&text, "  DIFFERENT %s\n", what)
	}
	return report{text.String(), len(compared.Different) == 0}, nil
}
