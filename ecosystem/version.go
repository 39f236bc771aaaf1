package ecosystem

import (
	"cmp"
	"strings"
)

// CompareVersions orders two versions of a package: it is negative if a is the earlier one, and
// 0 only if both are the same text. The order is that of Nix (builtins.compareVersions), to
// which two rules of distributions are added: an epoch ("2:1.0") decides before anything else,
// and what follows "~" comes before what has nothing in its place (deb-version(7), vercmp(8)).
// It is for lists that people read; no verdict depends on it.
func CompareVersions(a, b string) int {
	x, y := a, b
	epoch := func(version string) (number, rest string) {
		if before, after, found := strings.Cut(version, ":"); found && isNumber(before) {
			return before, after
		}
		return "0", version
	}
	e, x := epoch(x)
	f, y := epoch(y)
	if c := compareNumbers(e, f); c != 0 {
		return c
	}
	for x != "" || y != "" {
		var p, q string
		p, x = versionPart(x)
		q, y = versionPart(y)
		if c := compareParts(p, q); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}

// versionPart cuts the first component off a version: digits, a "~", or what is neither.
func versionPart(version string) (part, rest string) {
	version = strings.TrimLeft(version, ".-")
	if version == "" || version[0] == '~' {
		return version[:min(len(version), 1)], version[min(len(version), 1):]
	}
	number := isDigit(version[0])
	n := 1
	for n < len(version) && isDigit(version[n]) == number && strings.IndexByte(".-~", version[n]) < 0 {
		n++
	}
	return version[:n], version[n:]
}

// compareParts is componentsLT of Nix (src/libstore/names.cc), with "~" as the least.
func compareParts(a, b string) int {
	rank := func(part string) int {
		switch {
		case part == "~":
			return 0
		case part == "pre":
			return 1
		case part == "":
			return 2
		case !isNumber(part):
			return 3
		}
		return 4
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	if isNumber(a) {
		return compareNumbers(a, b)
	}
	return cmp.Compare(a, b)
}

// compareNumbers compares digits of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
