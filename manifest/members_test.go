package manifest_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"repronet.dev/internal/needtest"
	"repronet.dev/manifest"
)

func tarOf(t *testing.T, at time.Time, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, ModTime: at, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdOf(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func zipOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func arOf(files ...string) []byte {
	b := bytes.NewBufferString("!<arch>\n")
	for i := 0; i < len(files); i += 2 {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", files[i], 0, 0, 0, "100644", len(files[i+1]), files[i+1])
		if len(files[i+1])%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// listed returns the format and the members' names of a file with some contents.
func listed(t *testing.T, content []byte) (format string, names []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Of(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Parse(lines)
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
	for _, member := range m.Entries[0].Members {
		names = append(names, member.Name)
	}
	return m.Entries[0].Format, names
}

func TestMembers(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(0, 0)
	ordinary := tarOf(t, epoch, "a", "1", "d/b", "2")
	for name, c := range map[string]struct {
		content []byte
		format  string
		names   []string
	}{
		"text":                     {[]byte("hello"), "", nil},
		"nothing":                  {nil, "", nil},
		"tar":                      {ordinary, "tar", []string{"a", "d/b"}},
		"tar.gz":                   {gzipOf(t, ordinary), "tar+gzip", []string{"a", "d/b"}},
		"tar.zst":                  {zstdOf(t, ordinary), "tar+zstd", []string{"a", "d/b"}},
		"a page of a manual":       {gzipOf(t, []byte(".TH hello")), "gzip", []string{""}},
		"jar":                      {zipOf(t, "META-INF/", "", "A.class", "x"), "zip", []string{"A.class"}},
		"static library":           {arOf("/", "symbols", "//", "a-very-long-name.o/\nb.o/\n", "/0", "one", "/20", "x", "c.o/", "two"), "ar", []string{"/", "a-very-long-name.o", "b.o", "c.o"}},
		"deb":                      {arOf("debian-binary", "2.0\n", "data.tar.gz", string(gzipOf(t, ordinary))), "ar", []string{"debian-binary", "data.tar.gz", "data.tar.gz!/a", "data.tar.gz!/d/b"}},
		"an archive of archives":   {tarOf(t, epoch, "in.tar", string(ordinary), "page.gz", string(gzipOf(t, []byte("x")))), "tar", []string{"in.tar", "in.tar!/a", "in.tar!/d/b", "page.gz", "page.gz!/"}},
		"a name twice":             {tarOf(t, epoch, "a", "1", "a", "2"), "tar", []string{"a", "a"}},
		"a strange name":           {tarOf(t, epoch, "\x1b[2J", "1"), "tar", []string{`\x1b[2J`}},
		"cut off":                  {gzipOf(t, ordinary)[:40], "", nil},
		"magic alone":              {[]byte{0x1f, 0x8b, 8}, "", nil},
		"ar that is none":          {[]byte("!<arch>\nand then something that is no header of a member at all, far from it"), "", nil},
		"a member that is damaged": {tarOf(t, epoch, "a.gz", "\x1f\x8b\x08 no gzip", "b", "2"), "tar", []string{"a.gz", "b"}},
	} {
		if format, names := listed(t, c.content); format != c.format || !slices.Equal(names, c.names) {
			t.Errorf("%s: %q with %q, want %q with %q", name, format, names, c.format, c.names)
		}
	}
}

// What unpacks to very much, nests for ever or has very many members is listed as a file.
func TestMembersAreBounded(t *testing.T) {
	t.Parallel()
	bomb := gzipOf(t, make([]byte, 2<<20))
	for range 5 { // gzip of gzip of gzip
		bomb = gzipOf(t, bomb)
	}
	if format, names := listed(t, bomb); !slices.Equal(names, []string{""}) || format != "gzip+gzip+gzip" {
		t.Errorf("%q with %q", format, names)
	}
	var many []string
	for i := range 60_000 {
		many = append(many, fmt.Sprint(i), "")
	}
	if format, names := listed(t, arOf(many...)); format != "" || len(names) > 0 {
		t.Errorf("%q with %d members", format, len(names))
	}
}

func TestCompareMembers(t *testing.T) {
	t.Parallel()
	one, two := time.Unix(1, 0), time.Unix(2, 0)
	for want, files := range map[string][2][]byte{
		"1 of 1 files differ: . (contents, the same members; their times or modes, or the compression, equivalent after archive/v1)": {tarOf(t, one, "a", "1"), tarOf(t, two, "a", "1")},
		"1 of 1 files differ: . (contents, the same members in another order, equivalent after archive/v1)":                          {tarOf(t, one, "a", "1", "b", "2"), tarOf(t, one, "b", "2", "a", "1")},
		"1 of 1 files differ: . (contents, 2 of 3 members: b, c)":                                                                    {tarOf(t, one, "a", "1", "b", "2"), tarOf(t, one, "a", "1", "b", "3", "c", "")},
		"1 of 1 files differ: . (contents, what it unpacks to)":                                                                      {gzipOf(t, []byte("x")), gzipOf(t, []byte("y"))},
		"1 of 1 files differ: . (contents)":                                                                                          {gzipOf(t, []byte("x")), []byte("y")},
	} {
		var both [2]*manifest.Manifest
		for i, content := range files {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			var err error
			if both[i], err = manifest.Of(t.Context(), file); err != nil {
				t.Fatal(err)
			}
		}
		if got := manifest.Compare(both[0], both[1]).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestMembersOfOthers lists what the tools of others made.
func TestMembersOfOthers(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ar", "tar", "xz", "bzip2"} {
		needtest.Program(t, program, program)
	}
	dir := t.TempDir()
	for _, name := range []string{"a-name-that-is-too-long-for-a-header.o", "b.o"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for script, want := range map[string][2]string{
		"ar rc OUT *.o":               {"ar", "a-name-that-is-too-long-for-a-header.o b.o"},
		"tar -cJf OUT *.o":            {"tar+xz", "a-name-that-is-too-long-for-a-header.o b.o"},
		"tar -cjf OUT --format=v7 *o": {"", ""},
		// With holes, which would take very long to read.
		"truncate -s 900G hole; tar -cSf OUT hole":              {"", ""},
		"truncate -s 900G hole; tar -cSf OUT --format=pax hole": {"", ""},
		"tar -cjf OUT *.o": {"tar+bzip2", "a-name-that-is-too-long-for-a-header.o b.o"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		command := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(script, "OUT", out, 1)+"; rm -f hole")
		command.Dir = dir
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, text)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		format, names := listed(t, content)
		if strings.Contains(script, "v7") { // an old tar has no magic number: it is one compressed file
			want = [2]string{"bzip2", ""}
		}
		if format != want[0] || strings.Join(names, " ") != want[1] {
			t.Errorf("%s: %q with %q", script, format, names)
		}
	}
}
