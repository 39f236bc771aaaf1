package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"repronet.dev/manifest/stabilize"
)

// A Difference is where two builds of one output differ, in what a NAR has of them: names,
// types, contents, the executable bit, and where links lead.
type Difference struct {
	// Files are the files, links and directories in either build. A directory that only one
	// has counts as one, with all that is in it.
	Files  int `json:"files"`
	Differ int `json:"differ"` // of these
	// Equivalent are the stabilizers (package stabilize) after which the builds are equivalent:
	// all that differs is what these say does not count. Without any, they are not.
	Equivalent []string `json:"equivalent,omitempty"`
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
	// Members says where two archives differ, if both could be listed.
	Members *MemberDifference `json:"members,omitempty"`
	// Equivalent are the stabilizers after which the contents are equivalent, if they are.
	Equivalent []string `json:"equivalent,omitempty"`
}

// A MemberDifference is where two archives differ. Where no member does, and their order is
// the same, what the archive says of them differs: times, modes, or the compression.
type MemberDifference struct {
	Format  string `json:"format"`  // of the first, such as "tar+gzip"
	Members int    `json:"members"` // in either
	Differ  int    `json:"differ"`  // of these: other contents, or only in one
	// Order tells that the members are the same, in another order.
	Order bool `json:"order,omitzero"`
	// Listed are the first that differ, by name; at most [MaxListedMembers].
	Listed []string `json:"listed"`
}

// MaxListedMembers is how many members a [MemberDifference] names.
const MaxListedMembers = 50

// String is the difference in a few words, such as "1 of 12 members: foo.o".
func (d *MemberDifference) String() string {
	switch {
	case d.Differ == 0 && d.Order:
		return "the same members in another order"
	case d.Differ == 0:
		return "the same members; their times or modes, or the compression"
	}
	const named = 3
	text := fmt.Sprintf("%d of %d members: ", d.Differ, d.Members)
	if d.Members == 1 && d.Listed[0] == "" {
		return "what it unpacks to"
	}
	text += strings.Join(d.Listed[:min(named, len(d.Listed))], ", ")
	if d.Differ > named {
		text += ", …"
	}
	return text
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
	// Stabilized is of equal contents, of which the same stabilizers left different digests in
	// the two lists: one of them is wrong.
	Stabilized Kind = "what counts of equal contents"
)

// MaxListed is how many files a [Difference] names.
const MaxListed = 1000

// Compare says where two builds of one output differ.
func Compare(first, second *Manifest) *Difference {
	d := &Difference{Listed: []FileDifference{}}
	equivalent := 0 // of those that differ
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
			if by := d.compare(&a[0], &b[0]); by != nil {
				d.Equivalent = stabilize.Together(d.Equivalent, by)
				equivalent++
			}
			a, b = a[1:], b[1:]
		}
	}
	if equivalent < d.Differ {
		d.Equivalent = nil
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

// compare compares two entries of one path and type, and returns the stabilizers after which
// they are equivalent, if they differ and are.
func (d *Difference) compare(a, b *Entry) (equivalent []string) {
	switch {
	case a.SHA256 != b.SHA256 || a.Size != b.Size:
		if a.Executable == b.Executable {
			equivalent = equivalentAfter(a, b)
		}
		if listed := d.add(a.Path, Contents); listed != nil {
			listed.Sizes = &[2]int64{a.Size, b.Size}
			listed.Members = compareMembers(a, b)
			listed.Equivalent = equivalent
		}
	case a.Executable != b.Executable:
		d.add(a.Path, Executable)
	case a.Target != b.Target:
		d.add(a.Path, Target)
	case a.Stable != nil && b.Stable != nil && slices.Equal(a.Stable.By, b.Stable.By) && a.Stable.SHA256 != b.Stable.SHA256:
		d.add(a.Path, Stabilized)
	}
	return equivalent
}

// equivalentAfter returns the stabilizers after which two files are equivalent; nil if they
// are not.
func equivalentAfter(a, b *Entry) []string {
	var x, y stabilize.Stable
	if x.SHA256 = a.SHA256; a.Stable != nil {
		x = *a.Stable
	}
	if y.SHA256 = b.SHA256; b.Stable != nil {
		y = *b.Stable
	}
	if x.SHA256 != y.SHA256 {
		return nil
	}
	return stabilize.Together(x.By, y.By)
}

// compareMembers says where two archives differ; nil if one was not listed.
func compareMembers(a, b *Entry) *MemberDifference {
	if len(a.Members) == 0 || len(b.Members) == 0 {
		return nil
	}
	d := &MemberDifference{Format: a.Format, Listed: []string{}}
	contents := map[string][2][]Member{} // by name, which an archive may have twice
	sameOrder := len(a.Members) == len(b.Members)
	for side, members := range [2][]Member{a.Members, b.Members} {
		for i, m := range members {
			both := contents[m.Name]
			both[side] = append(both[side], m)
			contents[m.Name] = both
			sameOrder = sameOrder && a.Members[i].Name == b.Members[i].Name
		}
	}
	d.Members = len(contents)
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		if both := contents[name]; !slices.Equal(both[0], both[1]) {
			d.Differ++
			if len(d.Listed) < MaxListedMembers {
				d.Listed = append(d.Listed, name)
			}
		}
	}
	d.Order = d.Differ == 0 && !sameOrder
	return d
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
		if f.Members != nil {
			fmt.Fprintf(&b, ", %s", f.Members)
		}
		if f.Offset != nil {
			fmt.Fprintf(&b, ", from byte %d on", *f.Offset)
		}
		if f.Equivalent != nil {
			fmt.Fprintf(&b, ", equivalent after %s", strings.Join(f.Equivalent, ", "))
		}
		b.WriteString(")")
	}
	return b.String()
}
