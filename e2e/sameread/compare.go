package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/e2e/answers"
	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
)

// A comparer reads ledgers by two versions.
type comparer struct {
	before, after network.Programs
	knows         func(word string) bool // the older version
	options       answers.Options
	stdout        io.Writer
}

// all compares ledgers, some at a time, and prints for each a line and what differs, in
// the order in which they were given.
func (c *comparer) all(ctx context.Context, dirs []string, atOnce int) (same bool, err error) {
	reports := make([]chan report, len(dirs))
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
	for i, dir := range dirs {
		group.Go(func() error {
			r, err := c.one(ctx, dir)
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

func (c *comparer) one(ctx context.Context, dir string) (report, error) {
	begin := time.Now()
	if unknown, err := c.unknown(ctx, dir); err != nil || len(unknown) > 0 {
		return report{fmt.Sprintf("%-48s not compared: the older version does not know %s\n", filepath.Base(dir), strings.Join(unknown, ", ")), true}, err
	}
	was, refused := answers.Read(ctx, c.before, dir, c.options)
	is, refuses := answers.Read(ctx, c.after, dir, c.options)
	if ctx.Err() != nil {
		return report{}, ctx.Err()
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%-48s ", filepath.Base(dir))
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

// unknown lists what the entries of a ledger have that the older version does not know.
func (c *comparer) unknown(ctx context.Context, dir string) (words []string, err error) {
	files := ledger.Dir(filepath.Join(dir, "ledger"))
	text, err := files(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	defer text.Close()
	var origin string
	var size uint64
	if _, err := fmt.Fscanf(text, "%s\n%d\n", &origin, &size); err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s: %w", dir, err)
	}
	for record, err := range ledger.NewReader(files, nil).Local(size).Records(ctx, 0, size) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		for _, word := range []string{`"` + string(record.Kind()) + `"`, encodings[record.Data[0]]} {
			if word != "" && !c.knows(word) && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	return words, nil
}

// encodings are what entries' versions are called in the source, but the first.
var encodings = map[byte]string{2: "foldedVersion"}
