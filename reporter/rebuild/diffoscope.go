package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// ErrNoDiffoscope means that the program is not on this machine.
var ErrNoDiffoscope = errors.New("diffoscope is not installed")

// What a report may cost: outputs are somebody else's files, and diffoscope starts many
// programs that read them.
const (
	reportTime   = 10 * time.Minute
	reportMemory = 2 << 30
	reportSize   = 8 << 20 // bytes of one report
)

// Diffoscope writes reports on how two builds differ into a directory, as text and as HTML.
// It runs without a network, and is ended where it takes too long or too much; the error is
// a *[StoppedError] then.
func Diffoscope(ctx context.Context, first, second, dir string) (reports []string, err error) {
	program, err := exec.LookPath("diffoscope")
	if err != nil {
		return nil, ErrNoDiffoscope
	}
	temporary, err := os.MkdirTemp(dir, ".diffoscope-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	reports = []string{filepath.Join(dir, "diffoscope.txt"), filepath.Join(dir, "diffoscope.html")}
	size := strconv.Itoa(reportSize)
	command := exec.Command(program, "--exclude-directory-metadata=yes", "--no-progress", //nolint:noctx // ended by run
		"--max-text-report-size", size, "--max-report-size", size, "--text", reports[0], "--html", reports[1], first, second)
	command.Env = append(os.Environ(), "TMPDIR="+temporary, "HOME="+temporary)
	command.WaitDelay = stopGrace
	command.SysProcAttr = withoutNetwork()
	ctx, cancel := context.WithTimeoutCause(ctx, reportTime, &StoppedError{fmt.Sprintf("diffoscope took longer than %s", reportTime)})
	defer cancel()
	limits := Limits{Memory: reportMemory, Disk: reportMemory, Processes: 256}
	// Its status 1 says that there are differences.
	if err := limits.run(ctx, command, temporary); err != nil && exitStatus(err) != 1 {
		return nil, fmt.Errorf("diffoscope: %w", err)
	}
	for _, report := range reports {
		if _, err := os.Stat(report); err != nil {
			return nil, fmt.Errorf("diffoscope wrote no report: %w", err)
		}
	}
	return reports, nil
}
