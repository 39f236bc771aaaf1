package rebuild

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"repronet.dev/manifest"
)

// Compare compares two builds of one output, file by file, and says of contents where they
// begin to differ.
func Compare(ctx context.Context, first, second string) (*manifest.Difference, error) {
	a, err := manifest.Of(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("comparing: %w", err)
	}
	b, err := manifest.Of(ctx, second)
	if err != nil {
		return nil, fmt.Errorf("comparing: %w", err)
	}
	d := manifest.Compare(a, b)
	for i := range d.Listed {
		f := &d.Listed[i]
		name, ok := manifest.Unquote(f.Path)
		if f.What != manifest.Contents || !ok {
			continue
		}
		offset, err := firstDifference(ctx, filepath.Join(first, name), filepath.Join(second, name))
		if err != nil {
			return nil, fmt.Errorf("comparing %s with %s: %w", first, second, err)
		}
		if offset >= 0 {
			f.Offset = &offset
		}
	}
	return d, nil
}

// firstDifference returns the number of the first byte in which two files differ, -1 where
// they are equal.
func firstDifference(ctx context.Context, first, second string) (int64, error) {
	a, err := os.Open(first)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	b, err := os.Open(second)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	const size = 64 << 10
	ra, rb := bufio.NewReaderSize(a, size), bufio.NewReaderSize(b, size)
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		ba, errA := ra.Peek(size)
		bb, errB := rb.Peek(size)
		if errA != nil && errA != io.EOF {
			return 0, errA
		}
		if errB != nil && errB != io.EOF {
			return 0, errB
		}
		if !bytes.Equal(ba, bb) {
			return offset + int64(commonPrefix(ba, bb)), nil
		}
		if len(ba) == 0 {
			return -1, nil
		}
		offset += int64(len(ba))
		if _, err := ra.Discard(len(ba)); err != nil {
			return 0, err
		}
		if _, err := rb.Discard(len(bb)); err != nil {
			return 0, err
		}
	}
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
