package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gin-gonic/gin"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb"
	"repronet.dev/internal/chdb/chdbtest"
)

// Names of environment variables.
const (
	binEnv         = "REPRONET_BIN"
	engineEnv      = "REPRONET_ENGINE"
	screenshotsEnv = "REPRONET_SCREENSHOTS"
)

// TestMain builds the programs as `make build` does, unless they are given.
func TestMain(m *testing.M) { chdbtest.Exit(run(m)) }

func run(m *testing.M) int {
	bin, remove, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	os.Setenv(binEnv, bin)
	// The programs may lie where they would not find it.
	if engine, err := chdb.Find(); err == nil {
		os.Setenv(engineEnv, engine)
	}
	gin.SetMode(gin.ReleaseMode)
	return m.Run()
}

// build returns the directory of the programs.
func build() (dir string, remove func(), err error) {
	if given := os.Getenv(binEnv); given != "" {
		dir, err = filepath.Abs(given)
		return dir, func() {}, err
	}
	if dir, err = os.MkdirTemp("", "repronet-bin-"); err != nil {
		return "", nil, err
	}
	command := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/",
		"repronet.dev/cmd/repronet-aggregator", "repronet.dev/cmd/repronet-reporter", "repronet.dev/cmd/repronet-verify")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

func programs() network.Programs { return network.Programs(os.Getenv(binEnv)) }
