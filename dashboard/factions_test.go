package dashboard

import (
	"strings"
	"testing"
)

func claim(operator, digest string, counts bool, traits ...string) Claim {
	c := Claim{Operator: operator, Builder: operator + "-builder", Digest: "sha256:" + digest, Counts: counts, Environment: map[string]string{}}
	for i := 0; i+1 < len(traits); i += 2 {
		c.Environment[traits[i]] = traits[i+1]
	}
	return c
}

func TestFactions(t *testing.T) {
	claims := []Claim{
		claim("open", "z", false), claim("a", "x", true), claim("b", "y", true), claim("c", "y", true), claim("c", "y", true), claim("open", "y", false),
	}
	var got []string
	for _, f := range factionsOf(claims) {
		line := f.Mark.Letter + " " + f.Mark.Short + " " + strings.Join(f.Counted, "+")
		for _, b := range f.Others {
			line += " (" + b.Operator + ")"
		}
		got = append(got, line)
	}
	if want := "A y b+c (open), B x a, C z  (open)"; strings.Join(got, ", ") != want {
		t.Errorf("factions %q, want %q", strings.Join(got, ", "), want)
	}
}

// TestMarks gives every digest a letter of its own.
func TestMarks(t *testing.T) {
	seen := map[string]bool{}
	for i := range 100 {
		m := newMark(i, "sha256:0123456789abcdef")
		if seen[m.Letter] {
			t.Fatalf("two digests are marked %s", m.Letter)
		}
		seen[m.Letter] = true
	}
}

func TestSeparating(t *testing.T) {
	for _, c := range []struct {
		name   string
		claims []Claim
		want   string
	}{
		{"agreement", []Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "x", true, "fs", "zfs")}, ""},
		{"one separates", []Claim{
			claim("a", "x", true, "fs", "ext4", "cpu", "1"), claim("b", "x", true, "fs", "btrfs", "cpu", "2"), claim("c", "y", true, "fs", "zfs", "cpu", "1"),
		}, "fs: A btrfs+ext4 B zfs"},
		{"not recorded by a group", []Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "y", true)}, ""},
		{"not recorded by one of a group", []Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "x", true), claim("c", "y", true, "fs", "zfs")}, "fs: A ext4 B zfs"},
		{"several digests of one", []Claim{claim("a", "x", true, "fs", "ext4"), claim("a", "y", true, "fs", "ext4")}, ""},
		{"who does not count", []Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "y", true, "fs", "zfs"), claim("o", "y", false, "fs", "ext4")}, "fs: A ext4 B zfs"},
	} {
		var got []string
		for _, trait := range separating(c.claims, factionsOf(c.claims)) {
			line := trait.Name + ":"
			for _, v := range trait.Values {
				line += " " + v.Mark.Letter + " " + strings.Join(v.Values, "+")
			}
			got = append(got, line)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q separates, want %q", c.name, got, c.want)
		}
	}
}
