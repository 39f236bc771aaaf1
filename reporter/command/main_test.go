package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"repronet.dev/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"repronet-reporter": func() { cli.Main(Program()) }})
}

// binary returns the program as it is shipped, built once.
func binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.TempDir(), "repronet-reporter-test")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "repronet.dev/cmd/repronet-reporter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return path, build.Run()
})
