package rebuild_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/manifest"
	"repronet.dev/reporter/rebuild"
)

// tree makes a directory. What ends with / is a directory, what begins with -> a link, with
// x: a program.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case strings.HasPrefix(text, "->"):
			err = os.Symlink(text[2:], path)
		case strings.HasPrefix(text, "x:"):
			err = os.WriteFile(path, []byte(text[2:]), 0o755)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCompare(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 20_000)
	first := tree(t, map[string]string{
		"same": "a", "d/same": "b", "d/link": "->same", "content": "abc", "longer": "abc", "large": large, "program": "#!",
		"link": "->a", "kind": "file", "only/": "", "only/inside": "x", "b\xff": "1", "z": "",
	})
	second := tree(t, map[string]string{
		"same": "a", "d/same": "b", "d/link": "->same", "content": "abd", "longer": "abcd", "large": large[:300_000] + "X" + large[300_001:], "program": "x:#!",
		"link": "->b", "kind/": "", "new": "x", "b\xff": "2", "z": "",
	})
	d, err := rebuild.Compare(t.Context(), first, second)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range d.Listed {
		line := f.Path + " " + string(f.What)
		if f.Offset != nil {
			line += fmt.Sprint(" ", *f.Offset, " ", *f.Sizes)
		}
		got = append(got, line)
	}
	want := []string{
		`b\xff contents 0 [1 1]`, "content contents 2 [3 3]", "kind type", "large contents 300000 [320000 320000]", "link target",
		"longer contents 3 [3 4]", "new only in the second", "only only in the first", "program executable",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Differ != len(want) || d.Files != 15 {
		t.Errorf("%d of %d", d.Differ, d.Files)
	}
	if text := d.String(); !strings.HasPrefix(text, `9 of 15 files differ: b\xff (contents, from byte 0 on), content (`) || !strings.HasSuffix(text, ", …") {
		t.Errorf("in words: %s", text)
	}
	if d, err := rebuild.Compare(t.Context(), first, first); err != nil || d.Differ != 0 {
		t.Errorf("with itself: %+v, %v", d, err)
	}
	file := filepath.Join(first, "same")
	if d, err := rebuild.Compare(t.Context(), file, filepath.Join(first, "content")); err != nil || d.Differ != 1 || d.Listed[0].Path != "." {
		t.Errorf("of two files: %+v, %v", d, err)
	}
}

// A difference of any number of files is bounded.
func TestCompareMany(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 3 * manifest.MaxListed {
		files[fmt.Sprint("file", i)] = "x"
	}
	d, err := rebuild.Compare(t.Context(), tree(t, files), tree(t, map[string]string{"other": ""}))
	if err != nil || d.Differ != 3*manifest.MaxListed+1 || len(d.Listed) != manifest.MaxListed {
		t.Errorf("%d differ, %d listed, %v", d.Differ, len(d.Listed), err)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	from := tree(t, map[string]string{"a": "1", "d/b": "x:2", "l": "->a", "dangling": "->nowhere"})
	to := filepath.Join(t.TempDir(), "copy")
	if err := rebuild.Copy(from, to); err != nil {
		t.Fatal(err)
	}
	if d, err := rebuild.Compare(t.Context(), from, to); err != nil || d.Differ != 0 {
		t.Errorf("%v, %v", d, err)
	}
}
