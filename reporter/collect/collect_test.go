package collect

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

func TestOpenStore(t *testing.T) {
	tests := []struct{ uri, real, state, wantErr string }{
		{uri: "", real: "/nix/store", state: "/nix/var/nix"},
		{uri: "auto", real: "/nix/store", state: "/nix/var/nix"},
		{uri: "daemon", real: "/nix/store", state: "/nix/var/nix"},
		{uri: "local", real: "/nix/store", state: "/nix/var/nix"},
		{uri: "unix:///run/nix.socket", real: "/nix/store", state: "/nix/var/nix"},
		{uri: "local?root=/tmp/x", real: "/tmp/x/nix/store", state: "/tmp/x/nix/var/nix"},
		{uri: "local?root=/tmp/a%20b", real: "/tmp/a b/nix/store", state: "/tmp/a b/nix/var/nix"},
		{uri: "local?real=/r&state=/s", real: "/r", state: "/s"},
		{uri: "local:///tmp/x", real: "/tmp/x/nix/store", state: "/tmp/x/nix/var/nix"},
		{uri: "/tmp/x", real: "/tmp/x/nix/store", state: "/tmp/x/nix/var/nix"},
		{uri: "ssh://host", wantErr: "not on this machine"},
		{uri: "https://cache.example.org", wantErr: "not on this machine"},
		{uri: "local?root=%zz", wantErr: "invalid URL escape"},
	}
	for _, tt := range tests {
		s, err := openStore(tt.uri)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%q: error %v, want one with %q", tt.uri, err, tt.wantErr)
			}
			continue
		}
		if err != nil || s.real != tt.real || s.state != tt.state {
			t.Errorf("%q: %+v, %v", tt.uri, s, err)
		}
	}
}

func TestSettings(t *testing.T) {
	got := settings("store = local?root=/x&y=z\n# sandbox = false\nsandbox=relaxed # not quite\n\nsubstituters =\nnonsense\n")
	want := map[string]string{"store": "local?root=/x&y=z", "sandbox": "relaxed", "substituters": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestAssigned: a setting is found in what a configuration includes, too.
func TestAssigned(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"nix.conf":      "# post-build-hook = /c\nsandbox = true\ninclude sub/more.conf # ours\n!include " + dir + "/absolute.conf\n!include missing.conf\n",
		"sub/more.conf": "post-build-hook = /a\ninclude again.conf\n", "sub/again.conf": "post-build-hook=/d\n",
		"absolute.conf": "post-build-hook = /b # ours\n", "round.conf": "include round.conf\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for value, want := range map[string]string{"/a": "sub/more.conf", "/b": "absolute.conf", "/c": "", "/d": "sub/again.conf"} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got, err := Assigned(filepath.Join(dir, "nix.conf"), "post-build-hook", value); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", value, got, err, want)
		}
	}
	if got, err := Assigned(filepath.Join(dir, "none"), "post-build-hook", "/a"); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
	if got, err := Assigned(filepath.Join(dir, "round.conf"), "post-build-hook", "/a"); err == nil {
		t.Errorf("a file that includes itself: %q", got)
	}
}

func TestStorePath(t *testing.T) {
	s := &nixStore{real: "/real"}
	if got, err := s.path("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-x"); got != "/real/00bgd045z0d4icpbc2yyz4gx48ak44la-x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, path := range []string{"", "/nix/store/", "/nix/store/..", "/nix/store/a/b", "/nix/store/../x", "/etc/passwd"} {
		if got, err := s.path(path); err == nil {
			t.Errorf("%q is %q", path, got)
		}
	}
}

// Nothing leaves the machine that a person may have written, or that no
// statement may carry.
func TestEnvironment(t *testing.T) {
	t.Setenv("LANG", "en_US.UTF-8")
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_CTYPE", "")
	env := Environment(t.TempDir())
	t.Log(env)
	for name, value := range env {
		if !slices.Contains(attestation.Traits(), name) || value == "" || len(value) > attestation.MaxTraitLength {
			t.Errorf("trait %s=%q", name, value)
		}
	}
	for _, name := range []string{"system", "kernel", "cores", "tz", "umask", "filesystem", "locale"} {
		if env[name] == "" {
			t.Errorf("no trait %s", name)
		}
	}
	if hostname, err := os.Hostname(); err == nil && slices.Contains(slices.Collect(maps.Values(env)), hostname) {
		t.Errorf("the host's name %q is in %v", hostname, env)
	}
	t.Setenv("LANG", "/home/alice/locale")
	if locale := Environment(".")["locale"]; locale != "" {
		t.Errorf("locale %q", locale)
	}
	if got := prune(map[string]string{"cpu": "x\ny", "os": strings.Repeat("a", 101), "go": "go1.26"}); len(got) != 1 {
		t.Errorf("kept %v", got)
	}
}

func TestDigest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("tree", filepath.Join(dir, "result")); err != nil {
		t.Fatal(err)
	}
	hello := attestation.Digest(sha256.Sum256([]byte("hello\n")))
	for _, path := range []string{file, link} {
		if digest, kind, err := Digest(path); digest != hello || kind != attestation.File || err != nil {
			t.Errorf("%s: %v %v %v", path, digest, kind, err)
		}
	}
	want, _, err := Digest(tree)
	if err != nil {
		t.Fatal(err)
	}
	if digest, kind, err := Digest(filepath.Join(dir, "result")); digest != want || kind != attestation.NAR || err != nil {
		t.Errorf("a link to a directory: %v %v %v, want %v", digest, kind, err, want)
	}
	if _, _, err := Digest(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing file has a digest")
	}
}

// FuzzDerivation: a derivation that Nix would not have written is an error.
func FuzzDerivation(f *testing.F) {
	f.Add([]byte(`Derive([("out","/nix/store/00000000000000000000000000000000-x","","")],[],[],"x86_64-linux","/bin/sh",[],[("name","x")])`))
	f.Add([]byte(`Derive([("out","","r:sha256","")],[],[],"x","y",[],[])`))
	f.Add([]byte(`Derive([`))
	dir := f.TempDir()
	store := &nixStore{real: dir}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "x.drv"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		drv, err := readDerivation(store, "/nix/store/x.drv")
		if err == nil {
			notEvidence(drv)
		}
	})
}

// newDatabase makes a store's database with n paths, of which the derivation d's
// inputs reach m.
func newDatabase(tb testing.TB, n, m int) *nixStore {
	tb.Helper()
	store := &nixStore{state: tb.TempDir()}
	if err := os.Mkdir(filepath.Join(store.state, "db"), 0o700); err != nil {
		tb.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(store.state, "db", "db.sqlite"))
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		tb.Fatal(err)
	}
	exec := func(query string, args ...any) {
		if _, err := tx.Exec(query, args...); err != nil {
			tb.Fatal(err)
		}
	}
	exec(`CREATE TABLE ValidPaths (id integer primary key autoincrement not null, path text unique not null, hash text not null,
		registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text, ca text)`)
	exec(`CREATE TABLE Refs (referrer integer not null, reference integer not null, primary key (referrer, reference))`)
	exec(`CREATE INDEX IndexReferrer on Refs(referrer)`)
	exec(`CREATE TABLE DerivationOutputs (drv integer not null, id text not null, path text not null, primary key (drv, id))`)
	for i := range n {
		exec(`INSERT INTO ValidPaths (path, hash, registrationTime, ultimate) VALUES (?, ?, 1, 1)`,
			pathOf(i), fmt.Sprintf("sha256:%064x", i))
		if i > 0 && i < m { // a tree with some edges more
			exec(`INSERT INTO Refs VALUES (?, ?)`, i/2+1, i+1)
			exec(`INSERT OR IGNORE INTO Refs VALUES (?, ?)`, i/3+1, i+1)
			exec(`INSERT OR IGNORE INTO Refs VALUES (?, ?)`, i+1, i+1)
		}
	}
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
	return store
}

func pathOf(i int) string { return fmt.Sprintf("/nix/store/%032d-package-%d", i*7919%100003, i) }

func TestClosure(t *testing.T) {
	db, err := openDatabase(newDatabase(t, 100, 40))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	inputs, err := db.closure(t.Context(), []string{pathOf(0), pathOf(50)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range inputs {
		got = append(got, i.path)
	}
	var want []string
	for i := range 40 {
		want = append(want, pathOf(i))
	}
	want = append(want, pathOf(50))
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("closure (-want +got):\n%s", diff)
	}
	if _, err := db.closure(t.Context(), []string{"/nix/store/unknown"}, nil); err == nil {
		t.Error("unknown inputs have a closure")
	}
	if _, err := db.closure(t.Context(), nil, map[string][]string{pathOf(1): {"out"}}); err == nil {
		t.Error("unknown outputs have a closure")
	}
	if inputs, err := db.closure(t.Context(), nil, nil); err != nil || len(inputs) != 0 {
		t.Errorf("from nothing come %v, %v", inputs, err)
	}
	if _, err := db.Exec(`DELETE FROM ValidPaths`); err == nil {
		t.Error("the store's database can be written to")
	}
}

// BenchmarkClosure is what a hook asks of a large store's database, opening
// included.
func BenchmarkClosure(b *testing.B) {
	store := newDatabase(b, 100_000, 3000)
	for b.Loop() {
		db, err := openDatabase(store)
		if err != nil {
			b.Fatal(err)
		}
		if inputs, err := db.closure(b.Context(), []string{pathOf(0)}, nil); err != nil || len(inputs) != 3000 {
			b.Fatal(len(inputs), err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
