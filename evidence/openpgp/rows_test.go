package openpgp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
)

const (
	hexA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func parseDigest(t testing.TB, hex string) attestation.Digest {
	t.Helper()
	d, err := attestation.ParseDigest(hex)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSpellings: each is a row of sha256sum about one file.
func TestSpellings(t *testing.T) {
	for _, test := range []struct{ name, row, file string }{
		{"text mode", hexA + "  x.tar.gz", "x.tar.gz"},
		{"binary mode", hexA + " *x.tar.gz", "x.tar.gz"},
		{"one blank", hexA + " x.tar.gz", "x.tar.gz"},
		{"a tab", hexA + "\tx.tar.gz", "x.tar.gz"},
		{"blanks before", "  " + hexA + "  x.tar.gz", "x.tar.gz"},
		{"blanks behind", hexA + "  x.tar.gz \t", "x.tar.gz"},
		{"upper case", strings.ToUpper(hexA) + "  X.tar.gz", "X.tar.gz"},
		{"CR LF", hexA + "  x.tar.gz\r", "x.tar.gz"},
		{"with its folder", hexA + "  ./x.tar.gz", "x.tar.gz"},
		{"with its folder twice", hexA + "  ././x.tar.gz", "x.tar.gz"},
		{"in a folder", hexA + "  src/x.tar.gz", "src/x.tar.gz"},
		{"--tag", "SHA256 (x.tar.gz) = " + hexA, "x.tar.gz"},
		{"--tag of other programs", "sha256(x.tar.gz)= " + hexA, "x.tar.gz"},
		{"--tag in upper case", "SHA256 (./x.tar.gz) = " + strings.ToUpper(hexA), "x.tar.gz"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ParseRows("demo", []byte(test.row+"\n"))
			want := []Claim{{"demo/" + test.file, parseDigest(t, hexA)}}
			if diff := cmp.Diff(want, r.Claims); diff != "" || r.Read != 1 || r.Total != 1 || r.Unread() != 0 {
				t.Errorf("%+v (-want +got):\n%s", r, diff)
			}
		})
	}
}

// TestRowAccounts: every row is one of judged, ambiguous and not readable.
func TestRowAccounts(t *testing.T) {
	text := strings.Join([]string{
		"# made on a Sunday", "", hexA + "  a", hexA + " *./a", "SHA256 (a) = " + hexA, // one output, three times
		hexA + "  b", hexB + "  b", hexB + "  b", // ambiguous
		"hello", hexA + "  ../../etc/passwd", "SHA512 (c) = " + hexA + hexA, hexA[1:] + "  d", strings.Repeat("0", 64) + "  e", hexA + "  x^out",
		`\` + hexA + `  f\ng`, `\` + hexA + `  f\tg`, `\` + hexA + `  f\`, hexA + " ",
	}, "\n")
	r := ParseRows("demo", []byte(text))
	got := map[string]int{"total": r.Total, "read": r.Read, "ambiguous rows": r.AmbiguousRows, "unread": r.Unread(), "rejected": len(r.Rejected), "claims": len(r.Claims), "ambiguous": len(r.Ambiguous)}
	want := map[string]int{"total": 16, "read": 6, "ambiguous rows": 3, "unread": 10, "rejected": 10, "claims": 1, "ambiguous": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%+v", diff, r)
	}
	if r.Rejected[0].Line != 9 || r.Usable() != nil {
		t.Errorf("first rejected %+v, usable %v", r.Rejected[0], r.Usable())
	}
}

func TestEscapedNames(t *testing.T) {
	for escaped, want := range map[string]string{`a\\b`: `a\b`, `a\nb`: "a\nb", `a\rb`: "a\rb", `\\n`: `\n`, "plain": "plain"} {
		if got, err := unescape(escaped); err != nil || got != want {
			t.Errorf("%q: %q, %v", escaped, got, err)
		}
	}
	for _, bad := range []string{`a\`, `a\tb`, `\x`} {
		if got, err := unescape(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestUsable(t *testing.T) {
	for text, want := range map[string]string{
		"":              "no rows",
		"# comment\n\n": "no rows",
		"x\nhello\n":    "none of its 2 rows",
	} {
		r := ParseRows("demo", []byte(text))
		if err := r.Usable(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMoreRowsThanAreRead(t *testing.T) {
	var b strings.Builder
	for i := range MaxRows + 10 {
		fmt.Fprintf(&b, "%064x  x%d\n", i+1, i)
	}
	r := ParseRows("demo", []byte(b.String()))
	if r.Total != MaxRows+10 || r.Read != MaxRows || r.Unread() != 10 || len(r.Rejected) != 1 || r.Rejected[0].Line != MaxRows+1 {
		t.Errorf("%d rows, %d read, %d not, rejected %v", r.Total, r.Read, r.Unread(), r.Rejected)
	}
}

// TestOlderEntriesReadAsEver: what the wider grammar reads, and the older did not,
// is not read in a document of the older form.
func TestOlderEntriesReadAsEver(t *testing.T) {
	for _, row := range []string{
		hexA + " x", hexA + "\tx", strings.ToUpper(hexA) + "  X", hexA + "  ./x", "SHA256 (x) = " + hexA, "  " + hexA + "  x",
		`\` + hexA + `  x`, hexA + "  a b", hexA + "  x(1)",
	} {
		s := ParseSums("demo", []byte(row+"\n"))
		if len(s.Claims) > 0 || len(s.Rejected) != 1 {
			t.Errorf("%q: %+v", row, s)
		}
		signed := &Signed{Project: "demo", Text: []byte(row + "\n"), Signature: []byte{0xc2, 0}}
		rows := ParseRows("demo", signed.Text)
		if _, same := signed.Older(&rows); same && rows.Read > 0 {
			t.Errorf("%q: is said to be read by both", row)
		}
	}
}

// sha256sum has GNU sha256sum check a text whose files are not there, and returns the
// names that it read and the numbers of the lines that it did not.
func sha256sum(t *testing.T, text string) (names []string, improper []int) {
	t.Helper()
	program := needtest.Program(t, "sha256sum", "coreutils")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sums"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "--check", "--warn", "sums")
	command.Dir, command.Env = dir, []string{"LC_ALL=C"}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run() // fails: no file is there
	for line := range strings.Lines(stdout.String()) {
		if name, ok := strings.CutSuffix(line, ": FAILED open or read\n"); ok {
			names = append(names, strings.TrimPrefix(name, "./"))
		}
	}
	for line := range strings.Lines(stderr.String()) {
		parts := strings.SplitN(line, ":", 4)
		if len(parts) == 4 && strings.Contains(line, "improperly formatted") {
			if n, err := strconv.Atoi(strings.TrimSpace(parts[2])); err == nil {
				improper = append(improper, n)
			}
		}
	}
	return names, improper
}

// TestAgainstSHA256Sum compares the names that are read, and the lines that are not,
// with what GNU sha256sum makes of the same text.
func TestAgainstSHA256Sum(t *testing.T) {
	text := strings.Join([]string{
		"# comment", hexA + "  a-1.tar.gz", hexB + " *b-1.tar.gz", "SHA256 (c-1.zip) = " + hexA, strings.ToUpper(hexA) + "  d-1.zip",
		hexA + "  ./e-1.zip", "not a row", hexA[1:] + "  short", "  " + hexA + "  indented", "SHA512 (other) = " + hexA, "SHA256 (no digest) = ", hexA,
		hexA + "  src/f.tar.gz", "SHA256(g)= " + hexA, "sha1 (h) = " + hexA[:40], hexA + "x  i", hexA + "\t j",
	}, "\n") + "\n"
	names, improper := sha256sum(t, text)
	r := ParseRows("demo", []byte(text))
	var got []string
	for _, c := range r.Claims {
		got = append(got, strings.TrimPrefix(c.Output, "demo/"))
	}
	var unread []int
	for _, rejected := range r.Rejected {
		unread = append(unread, rejected.Line)
	}
	slices.Sort(names)
	slices.Sort(got)
	if len(names) == 0 || len(improper) == 0 {
		t.Fatalf("sha256sum read %v, and not %v", names, improper)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("names (-sha256sum +ours):\n%s", diff)
	}
	if diff := cmp.Diff(improper, unread); diff != "" {
		t.Errorf("lines that are not rows (-sha256sum +ours):\n%s", diff)
	}
}

func FuzzParseRows(f *testing.F) {
	f.Add([]byte(hexA + "  x.tar.gz\r\n"))
	f.Add([]byte("SHA256 (a) = " + hexA + "\n\\" + hexB + " *a\\nb\n" + hexB + "  ./a\n# x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := ParseRows("demo", text)
		if r.Read > r.Total || r.AmbiguousRows > r.Read || r.Read < len(r.Claims)+2*len(r.Ambiguous) || r.AmbiguousRows < 2*len(r.Ambiguous) {
			t.Errorf("accounts: %+v", r)
		}
		if r.Total <= MaxRows && r.Unread() != len(r.Rejected) {
			t.Errorf("%d rows are not read, %d have a reason", r.Unread(), len(r.Rejected))
		}
		outputs := r.Outputs()
		for i, output := range outputs {
			if i > 0 && outputs[i-1] >= output || attestation.ValidateOutput("release", output) != nil || !strings.HasPrefix(output, "demo/") || strings.ContainsAny(output, "^\r\n") {
				t.Errorf("output %q", output)
			}
		}
		// What the older grammar reads, the wider one reads too, and alike.
		for _, c := range ParseSums("demo", text).Claims {
			if !slices.Contains(outputs, c.Output) && !strings.HasPrefix(c.Output, "demo/./") && len(text) < 1<<16 {
				t.Errorf("the wider grammar does not read %q", c.Output)
			}
		}
	})
}
