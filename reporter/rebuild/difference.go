package rebuild

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// A Difference is where two builds of one output differ, in what a NAR has of them: names,
// types, contents, the executable bit, and where links lead.
type Difference struct {
	Files  int `json:"files"`  // in either build: files, links and directories
	Differ int `json:"differ"` // of these
	// Listed are the first that differ, by name; at most [MaxListed].
	Listed []FileDifference `json:"listed"`
}

// A FileDifference is one file, link or directory that two builds have differently.
type FileDifference struct {
	// Path is below the output, "." for the output itself. Bytes that are no UTF-8 are
	// written \xff.
	Path string `json:"path"`
	What Kind   `json:"what"`
	// Sizes are in bytes, and Offset is the first byte that differs; only of contents.
	Sizes  *[2]int64 `json:"sizes,omitempty"`
	Offset *int64    `json:"offset,omitempty"`
}

// A Kind says how two builds differ in a file.
type Kind string

// The kinds.
const (
	Contents   Kind = "contents"
	Executable Kind = "executable" // one can be executed, the other cannot
	Target     Kind = "target"     // the links lead to different places
	Type       Kind = "type"       // one is a directory, the other a file, or so
	OnlyFirst  Kind = "only in the first"
	OnlySecond Kind = "only in the second"
)

const (
	// MaxListed is how many files a [Difference] names.
	MaxListed = 1000
	// maxFiles bounds how many files are compared, and maxDepth how deep: an output may
	// have any number.
	maxFiles = 2_000_000
	maxDepth = 512
)

// Compare compares two builds of one output, file by file. Neither is held in memory.
func Compare(ctx context.Context, first, second string) (*Difference, error) {
	c := &comparison{ctx: ctx, d: &Difference{}, roots: [2]string{first, second}}
	if err := c.compare("."); err != nil {
		return nil, fmt.Errorf("comparing %s with %s: %w", first, second, err)
	}
	return c.d, nil
}

type comparison struct {
	ctx   context.Context //nolint:containedctx // of one call
	d     *Difference
	roots [2]string
}

func (c *comparison) differs(name string, what Kind) *FileDifference {
	c.d.Differ++
	if len(c.d.Listed) == MaxListed {
		return &FileDifference{}
	}
	c.d.Listed = append(c.d.Listed, FileDifference{Path: printable(name), What: what})
	return &c.d.Listed[len(c.d.Listed)-1]
}

// count counts a file, and ends the comparison where there are too many.
func (c *comparison) count(name string) error {
	if c.d.Files++; c.d.Files > maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	if strings.Count(name, "/") > maxDepth {
		return fmt.Errorf("directories more than %d deep", maxDepth)
	}
	return c.ctx.Err()
}

// files are the paths of what is called name in the two builds.
func (c *comparison) files(name string) (first, second string) {
	return filepath.Join(c.roots[0], name), filepath.Join(c.roots[1], name)
}

// compare compares what both builds have under a name.
func (c *comparison) compare(name string) error {
	if err := c.count(name); err != nil {
		return err
	}
	a, b := c.files(name)
	first, err := os.Lstat(a)
	if err != nil {
		return err
	}
	second, err := os.Lstat(b)
	if err != nil {
		return err
	}
	if first.Mode().Type() != second.Mode().Type() {
		c.differs(name, Type)
		return nil
	}
	switch first.Mode().Type() {
	case fs.ModeDir:
		return c.directories(name)
	case fs.ModeSymlink:
		return c.links(name)
	default:
		return c.contents(name, first, second)
	}
}

// directories compares the entries of two directories, which are sorted by name.
func (c *comparison) directories(name string) error {
	a, b := c.files(name)
	first, err := os.ReadDir(a)
	if err != nil {
		return err
	}
	second, err := os.ReadDir(b)
	if err != nil {
		return err
	}
	for len(first) > 0 || len(second) > 0 {
		order := 0
		switch {
		case len(second) == 0:
			order = -1
		case len(first) == 0:
			order = 1
		default:
			order = strings.Compare(first[0].Name(), second[0].Name())
		}
		switch {
		case order < 0:
			err = c.alone(path.Join(name, first[0].Name()), OnlyFirst)
			first = first[1:]
		case order > 0:
			err = c.alone(path.Join(name, second[0].Name()), OnlySecond)
			second = second[1:]
		default:
			err = c.compare(path.Join(name, first[0].Name()))
			first, second = first[1:], second[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alone counts what only one build has: a directory with all that is in it counts as one.
func (c *comparison) alone(name string, what Kind) error {
	c.differs(name, what)
	return c.count(name)
}

func (c *comparison) links(name string) error {
	a, b := c.files(name)
	first, err := os.Readlink(a)
	if err != nil {
		return err
	}
	second, err := os.Readlink(b)
	if err == nil && first != second {
		c.differs(name, Target)
	}
	return err
}

func (c *comparison) contents(name string, first, second fs.FileInfo) error {
	a, b := c.files(name)
	offset, err := firstDifference(c.ctx, a, b)
	if err != nil {
		return err
	}
	if offset >= 0 {
		d := c.differs(name, Contents)
		d.Offset, d.Sizes = &offset, &[2]int64{first.Size(), second.Size()}
		return nil
	}
	// Nix keeps this bit alone of a file's mode.
	if first.Mode()&0o100 != second.Mode()&0o100 {
		c.differs(name, Executable)
	}
	return nil
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

// printable writes a name so that it can be in a document.
func printable(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:size])
		}
		name = name[size:]
	}
	return b.String()
}

// String is the difference in a few words, such as "3 of 214 files differ: lib/a.pyc
// (contents), …".
func (d *Difference) String() string {
	const named = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d files differ:", d.Differ, d.Files)
	for i, f := range d.Listed {
		if i == named {
			fmt.Fprintf(&b, ", …")
			break
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s (%s", f.Path, f.What)
		if f.Offset != nil {
			fmt.Fprintf(&b, ", from byte %d on", *f.Offset)
		}
		b.WriteString(")")
	}
	return b.String()
}
