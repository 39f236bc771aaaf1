package outputmap

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestBuildRefusesAPlaceThatIsTaken(t *testing.T) {
	m, size := small(3)
	s := mustBuild(t, m.pairs(), size)
	more, size := small(5)
	if _, err := Build(s.dir, more.pairs(), size); !errors.Is(err, fs.ErrExist) {
		t.Errorf("built over another map: %v", err)
	}
	again, err := Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Root() != s.Root() {
		t.Error("the map that was there has changed")
	}
}

func TestBuildFails(t *testing.T) {
	parent := t.TempDir()
	broken := errors.New("connection lost")
	_, err := Build(filepath.Join(parent, "map"), func(yield func(Pair, error) bool) {
		if yield(Pair{key(1), 1}, nil) {
			yield(Pair{}, broken)
		}
	}, 9)
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the cause", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestKilledBuild kills a process in the middle of Build.
func TestKilledBuild(t *testing.T) {
	const variable = "OUTPUTMAP_TEST_BUILD"
	m, size := small(20_000)
	if os.Getenv(variable) != "" {
		_, err := Build("map", func(yield func(Pair, error) bool) {
			m.pairs()(yield)
			time.Sleep(time.Minute) // until killed
		}, size)
		t.Fatalf("still alive: %v", err)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "map")
	child := exec.CommandContext(t.Context(), executable, "-test.run=^TestKilledBuild$")
	child.Dir, child.Env = parent, append(os.Environ(), variable+"=1")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if info, err := os.Stat(filepath.Join(parent, ".unfinished-map", leavesFile)); err == nil && info.Size() > 0 {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("the process writes nothing")
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the process was not killed")
	}
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of a map is visible: %v", err)
	}
	if err := os.WriteFile(filepath.Join(parent, ".unfinished-map", "of an older version"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Build(dir, m.pairs(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("the map has the files %v, %v", files, err)
	}
	if want := m.root(size); s.Root() != want {
		t.Errorf("root %v, want %v", s.Root(), want)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestDamage changes and cuts the files of a map everywhere: no wrong proof comes
// out of it, and no later map is built on it.
func TestDamage(t *testing.T) {
	m, size := small(300)
	s := mustBuild(t, m.pairs(), size)
	want := s.Root()
	check := func(t *testing.T, what string) {
		t.Helper()
		damaged, err := Open(s.dir)
		if err != nil || damaged.Root() != want {
			return // who opens a map knows which root it should have
		}
		defer damaged.Close()
		for n := 0; n < 603; n += 43 {
			proof, err := damaged.Prove(key(n))
			if err != nil {
				continue
			}
			if got, err := proof.Verify(want, key(n)); err != nil || len(got) != len(m[key(n)]) {
				t.Fatalf("%s: proof of %d: %v, %v", what, n, got, err)
			}
		}
		if root, err := Sum(new(Sorter).Pairs(damaged), size); err == nil {
			t.Fatalf("%s: went unnoticed; a map built on it has root %v", what, root)
		}
	}
	for _, name := range []string{leavesFile, blocksFile, rootFile} {
		path := filepath.Join(s.dir, name)
		intact, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write := func(data []byte) {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for i := range intact {
			if i > 50 && i%(1+len(intact)/97) != 0 {
				continue // every byte of the first rows, and some of the others
			}
			for _, bits := range []byte{0x01, 0x18, 0x80} {
				changed := slices.Clone(intact)
				changed[i] ^= bits
				write(changed)
				check(t, name+" changed")
			}
			write(intact[:i])
			check(t, name+" cut")
			for _, number := range []string{"\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"} {
				large := slices.Clone(intact)
				copy(large[i:], number)
				write(large)
				check(t, name+" with a large number")
			}
		}
		write(append(slices.Clip(intact), 0))
		check(t, name+" extended")
		write(intact)
	}
	if root, err := Sum(new(Sorter).Pairs(s), size); err != nil || root != want {
		t.Errorf("intact again: %v, %v", root, err)
	}
}
