package manifest

import (
	"fmt"
	"strings"
)

// A Difference is where two builds of one output differ, in what a NAR has of them: names,
// types, contents, the executable bit, and where links lead.
type Difference struct {
	// Files are the files, links and directories in either build. A directory that only one
	// has counts as one, with all that is in it.
	Files  int `json:"files"`
	Differ int `json:"differ"` // of these
	// Listed are the first that differ, by name; at most [MaxListed].
	Listed []FileDifference `json:"listed"`
}

// A FileDifference is one file, link or directory that two builds have differently.
type FileDifference struct {
	// Path is below the output, "." for the output itself, as [Quote] writes it.
	Path string `json:"path"`
	What Kind   `json:"what"`
	// Sizes are in bytes, and Offset is the first byte that differs; only of contents. Offset
	// is only known where both builds are at hand.
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
	Types      Kind = "type"       // one is a directory, the other a file, or so
	OnlyFirst  Kind = "only in the first"
	OnlySecond Kind = "only in the second"
)

// MaxListed is how many files a [Difference] names.
const MaxListed = 1000

// Compare says where two builds of one output differ.
func Compare(first, second *Manifest) *Difference {
	d := &Difference{Listed: []FileDifference{}}
	a, b := first.Entries, second.Entries
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(b) == 0:
			order = -1
		case len(a) == 0:
			order = 1
		default:
			order = compare(a[0].Path, b[0].Path)
		}
		d.Files++
		switch {
		case order < 0:
			d.add(a[0].Path, OnlyFirst)
			a = after(a)
		case order > 0:
			d.add(b[0].Path, OnlySecond)
			b = after(b)
		case a[0].Type != b[0].Type:
			d.add(a[0].Path, Types)
			a, b = after(a), after(b)
		default:
			d.compare(&a[0], &b[0])
			a, b = a[1:], b[1:]
		}
	}
	return d
}

// after returns the entries that are not in the first.
func after(entries []Entry) []Entry {
	inside := entries[0].Path + "/"
	entries = entries[1:]
	if inside == "./" {
		return nil
	}
	for len(entries) > 0 && strings.HasPrefix(entries[0].Path, inside) {
		entries = entries[1:]
	}
	return entries
}

// compare compares two entries of one path and type.
func (d *Difference) compare(a, b *Entry) {
	switch {
	case a.SHA256 != b.SHA256 || a.Size != b.Size:
		if listed := d.add(a.Path, Contents); listed != nil {
			listed.Sizes = &[2]int64{a.Size, b.Size}
		}
	case a.Executable != b.Executable:
		d.add(a.Path, Executable)
	case a.Target != b.Target:
		d.add(a.Path, Target)
	}
}

// add counts a difference, and returns it if it is listed.
func (d *Difference) add(name string, what Kind) *FileDifference {
	d.Differ++
	if len(d.Listed) == MaxListed {
		return nil
	}
	d.Listed = append(d.Listed, FileDifference{Path: name, What: what})
	return &d.Listed[len(d.Listed)-1]
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
