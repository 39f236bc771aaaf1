package guixsigs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/evidence/gitian"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/needtest"
)

var signedAt = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// fates is what became of the files of a tree.
type fates struct {
	documents, others, bad, keys []string
	found                        []*Found
	files                        int
}

func walk(t *testing.T, dir string, layout Layout) fates {
	t.Helper()
	tree, err := OpenLayout(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var got fates
	for f := range tree.Files() {
		got.files++
		set := 0
		for _, is := range []bool{len(f.Documents) > 0, f.Key != nil, f.SignatureOf != "", f.Reason != "", f.Err != nil} {
			if is {
				set++
			}
		}
		if set != 1 {
			t.Errorf("%s has %d fates: %+v", f.Path, set, f)
		}
		switch {
		case f.Err != nil:
			got.bad = append(got.bad, f.Path)
		case f.Reason != "":
			got.others = append(got.others, f.Path)
		case f.Key != nil:
			got.keys = append(got.keys, f.Path)
		case len(f.Documents) > 0:
			got.documents, got.found = append(got.documents, f.Path), append(got.found, f.Documents...)
		}
	}
	for _, list := range [][]string{got.documents, got.others, got.bad} {
		slices.Sort(list)
	}
	return got
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// TestEveryFileIsAccountedFor, in a tree with all ways in which repositories have
// documents and keys, and every row of them.
func TestEveryFileIsAccountedFor(t *testing.T) {
	made := guixsigstest.MakeSums(t, signedAt)
	got := walk(t, made.Dir, Sums)
	for _, list := range []struct {
		name      string
		want, got []string
	}{{"documents", made.Documents, got.documents}, {"others", made.Others, got.others}, {"bad", made.Bad, got.bad}} {
		if diff := cmp.Diff(sorted(list.want), list.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list.name, diff)
		}
	}
	if len(got.keys) != 3+23 {
		t.Errorf("%d files of keys: %v", len(got.keys), got.keys)
	}
	files := 0
	err := filepath.WalkDir(made.Dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == ".git" {
			files++ // is told as one
			return filepath.SkipDir
		}
		if err == nil && !e.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != got.files {
		t.Errorf("%d of %d files were told, %v", got.files, files, err)
	}
	var rows guixsigstest.Rows
	for _, f := range got.found {
		r := openpgp.ParseRows(project, f.Text)
		rows.Total, rows.Read, rows.Ambiguous, rows.Unread = rows.Total+r.Total, rows.Read+r.Read, rows.Ambiguous+r.AmbiguousRows, rows.Unread+r.Unread()
	}
	if diff := cmp.Diff(made.Rows, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestGitianTree(t *testing.T) {
	made := guixsigstest.MakeGitian(t, signedAt)
	got := walk(t, made.Dir, Assertions)
	var names, bad []string
	for _, f := range got.found {
		a, err := gitian.Parse(project, f.Text)
		if err != nil {
			bad = append(bad, f.Path)
			continue
		}
		for _, output := range a.Rows.Outputs() {
			if name := strings.TrimPrefix(output, project+"/"); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if diff := cmp.Diff(sorted(made.Names), sorted(names)); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(made.Bad, bad); diff != "" {
		t.Errorf("without rows (-want +got):\n%s", diff)
	}
	if want := sorted(append(slices.Clone(made.Documents), made.Bad...)); !slices.Equal(want, got.documents) || len(got.others)+len(got.bad) > 0 || len(got.keys) != 2 {
		t.Errorf("documents %v, others %v, bad %v, keys %v", got.documents, got.others, got.bad, got.keys)
	}
	// Neither layout takes the other's documents.
	if sums := walk(t, made.Dir, Sums); len(sums.documents) > 0 || len(sums.others) != 5 {
		t.Errorf("as checksums: documents %v, others %v", sums.documents, sums.others)
	}
	if both := walk(t, made.Dir, Any); len(both.documents) != 5 {
		t.Errorf("as any: documents %v", both.documents)
	}
}

// TestMadeTreesAgainstGPG: as many signatures count as gpg verifies, in every layout.
func TestMadeTreesAgainstGPG(t *testing.T) {
	needtest.Program(t, "gpg", "gnupg")
	for name, made := range map[string]*guixsigstest.Made{"checksums": guixsigstest.MakeSums(t, signedAt), "gitian": guixsigstest.MakeGitian(t, signedAt)} {
		t.Run(name, func(t *testing.T) {
			tree, err := OpenLayout(made.Dir, Any)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			home, err := os.MkdirTemp("", "gpg") //nolint:usetesting // the name of a socket in it has to be short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(home) })
			gpg := func(args ...string) string {
				command := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", home, "--batch", "--no-autostart", "--faked-system-time", "20260701T000000!", "--status-fd", "1"}, args...)...)
				out, _ := command.Output() // fails for what does not verify
				return string(out)
			}
			ring := readKeys(t, tree)
			for k, err := range tree.Keys() {
				if err != nil {
					t.Fatal(err)
				}
				gpg("--import", filepath.Join(made.Dir, k.Path))
			}
			theirs, ours := 0, 0
			for f, err := range tree.Documents() {
				if err != nil {
					continue // has no signature that gpg could look at
				}
				args := []string{"--verify", filepath.Join(made.Dir, f.SignedBy)}
				if f.SignedBy != f.Path {
					args = append(args, filepath.Join(made.Dir, f.Path))
				}
				good := strings.Count(gpg(args...), " GOODSIG ")
				signatures, err := openpgp.OpenSigned(f.Signed(project), ring.Lookup, received)
				if err != nil {
					t.Fatal(err)
				}
				count := 0
				for _, s := range signatures {
					if s.State.Counts() {
						count++
					}
				}
				if count != good {
					t.Errorf("%s: %d signatures count, gpg verifies %d", f.Path, count, good)
				}
				theirs, ours = theirs+good, ours+count
			}
			if ours != made.Signatures || theirs != ours {
				t.Errorf("%d signatures count, %d by gpg, of %d", ours, theirs, made.Signatures)
			}
		})
	}
}
