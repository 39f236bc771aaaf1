package manifest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/manifest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

// strange are names that a file system has and a terminal or a parser trips over.
var strange = []string{"a", "a.b", "a b", "b\xff", "bz", `back\slash`, "new\nline", "\x1b[2J", "é", "\u202eabc", "\ufffd", "\u0085", ".hidden", "..."}

func makeTree(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	for _, name := range strange {
		dir := filepath.Join(root, "d", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOf(t *testing.T) {
	t.Parallel()
	root := makeTree(t)
	m, err := manifest.Of(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	if want := 2 + 3*len(strange); len(m.Entries) != want {
		t.Errorf("%d entries, want %d", len(m.Entries), want)
	}
	lines, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(lines, "\x1b\x00") || bytes.Count(lines, []byte("\n")) != len(m.Entries) {
		t.Errorf("not a line for each:\n%q", lines)
	}
	again, err := manifest.Parse(lines)
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
	for _, e := range m.Entries {
		name, ok := manifest.Unquote(e.Path)
		if _, err := os.Lstat(filepath.Join(root, name)); !ok || err != nil {
			t.Errorf("%q leads nowhere: %v", e.Path, err)
		}
	}
	if d := manifest.Compare(m, again); d.Differ != 0 || d.Files != len(m.Entries) {
		t.Errorf("with itself: %+v", d)
	}
}

// TestEquivalent: two builds of three files are equivalent if all that differs does not count.
func TestEquivalent(t *testing.T) {
	t.Parallel()
	of := func(files map[string]string) *manifest.Manifest {
		t.Helper()
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := manifest.Of(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if m, err = manifest.Parse(lines); err != nil {
			t.Fatal(err)
		}
		return m
	}
	pyc := func(time, code string) string { return "\xcb\r\r\n\x00\x00\x00\x00" + time + "size" + code }
	one, two := time.Unix(1, 0), time.Unix(2, 0)
	first := of(map[string]string{"a.pyc": pyc("2026", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, one, "b.pyc", pyc("2026", "code"), "c", "")))})
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"times":            {map[string]string{"a.pyc": pyc("2027", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, two, "c", "", "b.pyc", pyc("2027", "code"))))}, "archive/v1 pyc-time/v1"},
		"one time":         {map[string]string{"a.pyc": pyc("2027", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, one, "b.pyc", pyc("2026", "code"), "c", "")))}, "pyc-time/v1"},
		"code":             {map[string]string{"a.pyc": pyc("2026", "edoc"), "b.tar.gz": string(gzipOf(t, tarOf(t, two, "b.pyc", pyc("2026", "code"), "c", "")))}, ""},
		"code in archives": {map[string]string{"a.pyc": pyc("2027", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, one, "b.pyc", pyc("2026", "edoc"), "c", "")))}, ""},
		"one file more":    {map[string]string{"a.pyc": pyc("2027", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, one, "b.pyc", pyc("2026", "code"), "c", ""))), "d": ""}, ""},
	} {
		d := manifest.Compare(first, of(c.files))
		if got := strings.Join(d.Equivalent, " "); got != c.want || d.Differ == 0 {
			t.Errorf("%s: equivalent after %q, want %q: %s", name, got, c.want, d)
		}
	}

	// Whoever lists the same contents, and says that something else counts of them, contradicts.
	liar := of(map[string]string{"a.pyc": pyc("2026", "code"), "b.tar.gz": string(gzipOf(t, tarOf(t, one, "b.pyc", pyc("2026", "code"), "c", "")))})
	if d := manifest.Compare(first, liar); d.Differ != 0 {
		t.Errorf("the same: %s", d)
	}
	liar.Entries[1].Stable.SHA256[0] ^= 1
	if d := manifest.Compare(first, liar); d.Differ != 1 || d.Listed[0].What != manifest.Stabilized || d.Equivalent != nil {
		t.Errorf("another digest after the same stabilizers: %+v", d)
	}
}

func TestOfFails(t *testing.T) {
	t.Parallel()
	if _, err := manifest.Of(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := manifest.Of(t.Context(), "/dev/null"); err == nil {
		t.Error("a device has a manifest")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := manifest.Of(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	deep := t.TempDir()
	if err := os.MkdirAll(filepath.Join(deep, strings.Repeat("d/", manifest.MaxDepth+2)), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Of(t.Context(), deep); !errors.Is(err, manifest.ErrTooLarge) {
		t.Errorf("too deep: %v", err)
	}
}

const (
	file = `{"path":%q,"type":"file","size":1,"sha256":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}` + "\n"
	dir  = `{"path":%q,"type":"directory"}` + "\n"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	root := fmt.Sprintf(dir, ".")
	for name, lines := range map[string]string{
		"nothing":            "",
		"no end":             strings.TrimSuffix(root, "\n"),
		"no root":            fmt.Sprintf(file, "a"),
		"two roots":          root + root,
		"twice":              root + fmt.Sprintf(file, "a") + fmt.Sprintf(file, "a"),
		"unsorted":           root + fmt.Sprintf(file, "b") + fmt.Sprintf(file, "a"),
		"no directory":       root + fmt.Sprintf(file, "a/b"),
		"in a file":          root + fmt.Sprintf(file, "a") + fmt.Sprintf(file, "a/b"),
		"below a file":       fmt.Sprintf(file, ".") + fmt.Sprintf(file, "a"),
		"absolute":           root + fmt.Sprintf(file, "/a"),
		"above":              root + fmt.Sprintf(file, "../a"),
		"dots":               root + fmt.Sprintf(file, "a/../b"),
		"slash at the end":   root + fmt.Sprintf(dir, "a/"),
		"no type":            root + `{"path":"a"}` + "\n",
		"unknown type":       root + `{"path":"a","type":"fifo"}` + "\n",
		"unknown member":     root + `{"path":"a","type":"directory","mode":4095}` + "\n",
		"member twice":       root + `{"path":"a","path":"b","type":"directory"}` + "\n",
		"file without hash":  root + `{"path":"a","type":"file","size":1}` + "\n",
		"directory and hash": root + `{"path":"a","type":"directory","sha256":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}` + "\n",
		"negative":           root + strings.Replace(fmt.Sprintf(file, "a"), `"size":1`, `"size":-1`, 1),
		"link to nothing":    root + `{"path":"a","type":"link"}` + "\n",
		"file with target":   root + `{"path":"a","type":"directory","target":"b"}` + "\n",
		"escape sequence":    root + `{"path":"\u001b[2J","type":"directory"}` + "\n",
		"wild backslash":     root + `{"path":"a\\b","type":"directory"}` + "\n",
		"long":               root + fmt.Sprintf(dir, strings.Repeat("a", manifest.MaxPath+1)),
		"no JSON":            root + "a\n",
		"null":               "null\n",
		"an empty line":      root + "\n",
	} {
		if _, err := manifest.Parse([]byte(lines)); !errors.Is(err, manifest.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := manifest.Parse(bytes.Repeat([]byte(" "), manifest.MaxSize+1)); !errors.Is(err, manifest.ErrMalformed) {
		t.Error("too large")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	parse := func(lines ...string) *manifest.Manifest {
		t.Helper()
		m, err := manifest.Parse([]byte(fmt.Sprintf(dir, ".") + strings.Join(lines, "")))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	other := strings.Replace(file, "6b86", "0000", 1)
	a := parse(fmt.Sprintf(dir, "d"), fmt.Sprintf(file, "d/x"), fmt.Sprintf(dir, "d/y"), fmt.Sprintf(file, "d/y/z"), fmt.Sprintf(file, "d.e"), fmt.Sprintf(file, "same"))
	b := parse(fmt.Sprintf(file, "d"), fmt.Sprintf(other, "d.e"), fmt.Sprintf(dir, "new"), fmt.Sprintf(file, "new/x"), fmt.Sprintf(file, "same"))
	d := manifest.Compare(a, b)
	want := &manifest.Difference{Files: 5, Differ: 3, Listed: []manifest.FileDifference{
		{Path: "d", What: manifest.Types}, {Path: "d.e", What: manifest.Contents, Sizes: &[2]int64{1, 1}}, {Path: "new", What: manifest.OnlySecond},
	}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A document is what its builder signed, or nothing.
func TestSign(t *testing.T) {
	t.Parallel()
	m, err := manifest.Of(t.Context(), makeTree(t))
	if err != nil {
		t.Fatal(err)
	}
	signer := signingtest.New(t)
	of := manifest.Statement{
		Ecosystem: "nix", DigestKind: attestation.NAR, Output: "/nix/store/00000000000000000000000000000000-hello", Digest: attestation.Digest{1},
	}
	document, err := manifest.Sign(t.Context(), signer, of, m)
	if err != nil {
		t.Fatal(err)
	}
	check := func(_ context.Context, bundle []byte) ([]byte, signing.BuilderID, error) {
		payload, err := sigstore.OpenPayload(bundle, signer.Public())
		return payload, signer.Public().Builder(), err
	}
	signed, err := manifest.Open(t.Context(), document, check)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, signed.Manifest); diff != "" || signed.Output != of.Output || signed.Digest != of.Digest || signed.Builder != signer.Public().Builder() {
		t.Errorf("%+v (-signed +opened):\n%s", signed.Statement, diff)
	}
	bundle, lines, _ := bytes.Cut(document, []byte("\n"))
	for name, forged := range map[string][]byte{
		"a line less":  append(append(bytes.Clone(bundle), '\n'), lines[:bytes.LastIndexByte(lines[:len(lines)-1], '\n')+1]...),
		"another line": bytes.Replace(document, []byte(`"path":"a"`), []byte(`"path":"A"`), 1),
		"no lines":     bundle,
		"no bundle":    lines,
	} {
		if _, err := manifest.Open(t.Context(), forged, check); err == nil {
			t.Errorf("%s: it is opened", name)
		}
	}
	// A statement about something else is none about a manifest.
	payload, err := (&attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR, Subjects: []attestation.Subject{{Name: of.Output, Digest: of.Digest}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.ParseStatement(payload); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("a withdrawal: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(dir, ".") + fmt.Sprintf(file, "a") + fmt.Sprintf(file, `b\\x\xff`)))
	f.Fuzz(func(t *testing.T, lines []byte) {
		m, err := manifest.Parse(lines)
		if err != nil {
			return
		}
		written, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := manifest.Parse(written)
		if diff := cmp.Diff(m, again); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		if d := manifest.Compare(m, again); d.Differ != 0 {
			t.Fatalf("it differs from itself: %+v", d)
		}
	})
}
