package guixsigs

import (
	"fmt"
	"strings"
	"testing"

	"repronet.dev/docs/docstest"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/evidence/openpgp/openpgptest"
)

// badFile is a file of a directory that is no document to relay.
type badFile struct {
	input, path string
	files       map[string][]byte
	fails       bool   // to be a document, and none
	want        string // a part of what is said
}

func badFiles(t *testing.T) []badFile {
	alice := openpgptest.NewPerson(t, "alice", signedAt)
	text := strings.Repeat("ab", 32) + "  demo-1.0.tar.gz\n"
	clear := alice.Clearsigned(text, signedAt)
	one := func(name string, data []byte) map[string][]byte { return map[string][]byte{name: data} }
	return []badFile{
		{"a text that is not signed", "README", one("README", []byte("hello")), false, "is not signed"},
		{"checksums that are not signed", "SHA256SUMS", one("SHA256SUMS", []byte(text)), true, "has no signature"},
		{"a signature of checksums that are not there", "SHA256SUMS.asc", one("SHA256SUMS.asc", alice.Detached(text, signedAt)), true, "not beside it"},
		{"a signature of another file that is not there", "x.sig", one("x.sig", alice.Detached(text, signedAt)), false, "not beside it"},
		{"a signed text without a row", "notes", map[string][]byte{"notes": []byte("hello\n"), "notes.asc": alice.Detached("hello\n", signedAt)}, false, "no document of builds"},
		{"a clearsigned text without a row", "notes.asc", one("notes.asc", alice.Clearsigned("hello", signedAt)), false, "no document of builds"},
		{"clearsigned checksums that are cut off", "SHA256SUMS.asc", one("SHA256SUMS.asc", clear[:len(clear)-40]), true, "cut off"},
		{"a copy of clearsigned checksums", "SHA256SUMS", map[string][]byte{"SHA256SUMS": []byte(text), "SHA256SUMS.asc": clear}, false, "clearsigned file beside it"},
		{"checksums of more than 1 MiB", "SHA256SUMS", map[string][]byte{"SHA256SUMS": make([]byte, openpgp.MaxSignedTextSize+1), "SHA256SUMS.asc": alice.Detached(text, signedAt)}, true, "is larger than"},
		{"checksums with a signature of more than 128 KiB", "SHA256SUMS", map[string][]byte{"SHA256SUMS": []byte(text), "SHA256SUMS.asc": make([]byte, openpgp.MaxSignedSignatureSize+1)}, true, "its signature"},
		{"a Gitian assertion among checksums", "demo.assert", map[string][]byte{"demo.assert": []byte("name: x"), "demo.assert.sig": alice.Detached("name: x", signedAt)}, false, "relay gitian"},
		{"a file called like a key, and none", "alice.gpg", one("alice.gpg", []byte("hello")), false, "is not signed"},
	}
}

// TestBadFiles makes every file that docs/bad-input.md lists, and every row, and holds
// the document to what is said.
func TestBadFiles(t *testing.T) {
	var document strings.Builder
	document.WriteString("| file | | what is said |\n|---|---|---|\n")
	for _, test := range badFiles(t) {
		t.Run(test.input, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range test.files {
				write(t, dir, name, data)
			}
			for f := range openTree(t, dir).Files() {
				if f.Path != test.path {
					continue
				}
				said := f.Reason
				if f.Err != nil {
					said = f.Err.Error()
				}
				if test.fails != (f.Err != nil) || !strings.Contains(said, test.want) || len(f.Documents) > 0 {
					t.Errorf("%+v, want %q", f, test.want)
				}
				fmt.Fprintf(&document, "| %s | %s | %s |\n", test.input, map[bool]string{true: "fails", false: "no document"}[f.Err != nil], said)
			}
		})
	}
	document.WriteString("\n| row | why it is not read |\n|---|---|\n")
	hex := strings.Repeat("ab", 32)
	for _, row := range []string{
		"hello", hex, hex[2:] + "  x", strings.Repeat("0", 64) + "  x", hex + "  ../x", hex + "  /x", hex + "  a//b", hex + "  a\x1b[2Jb", hex + "  x^out",
		"SHA512 (x) = " + hex, `\` + hex + `  a\nb`, `\` + hex + `  a\tb`, hex + "  " + strings.Repeat("x", 5000),
	} {
		r := openpgp.ParseRows(project, []byte(row+"\n"+hex+"  honest\n"))
		if len(r.Rejected) != 1 || r.Rejected[0].Line != 1 || len(r.Claims) != 1 {
			t.Errorf("%q: %+v", row, r)
			continue
		}
		shown := strings.NewReplacer(hex, "‹digest›", hex[2:], "‹62 digits›", strings.Repeat("0", 64), "‹64 × 0›", strings.Repeat("x", 5000), "‹5000 × x›", "\x1b", "‹ESC›").Replace(row)
		fmt.Fprintf(&document, "| `%s` | %s |\n", shown, strings.ReplaceAll(r.Rejected[0].Reason, "|", `\|`))
	}
	if !t.Failed() {
		docstest.BadInput(t, "evidence/guixsigs", "end", document.String())
	}
}
