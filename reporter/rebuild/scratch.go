package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"repronet.dev/internal/durable"
	"repronet.dev/reporter/collect"
)

// A scratch is a Nix store of its own, in a directory, in which one recipe is built.
type scratch struct {
	root   string // the directory
	from   string // URI of the store that recipe and inputs come from; "" is the usual one
	limits Limits
	log    io.Writer // what Nix says, as it says it
	lock   *os.File  // held as long as the store is in use
}

// newScratch makes a store in a new directory below dir.
func newScratch(dir, from string, limits Limits, log io.Writer) (*scratch, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(dir, "?&#%") {
		return nil, fmt.Errorf("builds in %s: a store's directory has no ?, &, # or %% in its name, which Nix reads otherwise", dir)
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a place for builds: %w", err)
	}
	// Nix refuses a store below a link, and takes the directory as it is written.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("making a place for builds: %w", err)
	}
	if err := sweep(dir); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(dir, prefix)
	if err != nil {
		return nil, fmt.Errorf("making a place for builds: %w", err)
	}
	s := &scratch{root: root, from: from, limits: limits, log: log}
	if s.lock, err = lock(root); err == nil {
		// Builders are other users where Nix has users for them.
		err = os.Chmod(root, 0o755) //nolint:gosec // a directory
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// uri is the store's, as Nix writes it.
func (s *scratch) uri() string { return "local?root=" + s.root }

// remove deletes the store.
func (s *scratch) remove() error {
	err := removeStore(s.root)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// options are settings of Nix under which recipes are built: here, by this machine alone,
// in the sandbox, and without the reporter's own hook, to which Nix would not tell in which
// store a build was made.
func (s *scratch) options() []string {
	o := []string{
		"--store", s.uri(), "--option", "sandbox", "true", "--option", "sandbox-fallback", "false",
		"--option", "post-build-hook", "", "--option", "run-diff-hook", "false", "--option", "builders", "",
	}
	if s.limits.Time > 0 {
		o = append(o, "--timeout", strconv.Itoa(max(1, int(s.limits.Time.Seconds()))))
	}
	if s.limits.Cores > 0 {
		o = append(o, "--cores", strconv.Itoa(s.limits.Cores))
	}
	return o
}

// nix runs a program of Nix, which may be one that builds.
func (s *scratch) nix(ctx context.Context, limits Limits, name string, args ...string) error {
	command := exec.Command(name, args...) //nolint:noctx // ended by run, which asks it first
	said := &tail{limit: 64 << 10}
	command.Stderr = io.MultiWriter(said, s.log)
	command.WaitDelay = stopGrace
	command.ExtraFiles = []*os.File{s.lock} // which is held until both have ended
	if err := limits.run(ctx, command, s.root); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%w: Nix is needed to build its recipes", err)
		}
		return &nixError{name: name, err: err, said: said.String()}
	}
	return nil
}

// A nixError is how a program of Nix ended, with the end of what it said.
type nixError struct {
	name, said string
	err        error
}

func (e *nixError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.said), "\n")
	return fmt.Sprintf("%s: %v: %s", e.name, e.err, strings.TrimSpace(lines[len(lines)-1]))
}

func (e *nixError) Unwrap() error { return e.err }

// copyIn copies the recipe and those of its inputs that the machine's store has.
func (s *scratch) copyIn(ctx context.Context, path string, recipe *collect.Recipe) error {
	if err := s.copy(ctx, []string{"--derivation"}, []string{path}); err != nil {
		return fmt.Errorf("copying the recipe: %w", err)
	}
	sources, outputs := recipe.Inputs()
	inputs := slices.Clone(sources)
	for drv, names := range outputs {
		r, err := collect.ReadInput(drv, s.from)
		if err != nil {
			return fmt.Errorf("reading an input's recipe: %w", err)
		}
		made, err := r.Made(ctx, s.from)
		if err != nil {
			return err
		}
		for _, m := range made {
			if slices.Contains(names, m.Output) {
				inputs = append(inputs, m.Path)
			}
		}
	}
	if err := s.copy(ctx, nil, inputs); err != nil {
		return fmt.Errorf("copying the inputs: %w", err)
	}
	return nil
}

// copiedAtOnce bounds how many paths one command names.
const copiedAtOnce = 500

func (s *scratch) copy(ctx context.Context, flags, paths []string) error {
	for some := range slices.Chunk(paths, copiedAtOnce) {
		args := []string{"--extra-experimental-features", "nix-command", "copy", "--no-check-sigs", "--to", s.uri()}
		if s.from != "" {
			args = append(args, "--from", s.from)
		}
		if err := s.nix(ctx, Limits{Disk: s.limits.Disk}, "nix", append(append(args, flags...), some...)...); err != nil {
			return err
		}
	}
	return nil
}

// realiseInputs gets what the build reads and the machine's store did not have, from Nix's
// substituters or by building it.
func (s *scratch) realiseInputs(ctx context.Context, recipe *collect.Recipe) error {
	_, outputs := recipe.Inputs()
	var wanted []string
	for drv, names := range outputs {
		wanted = append(wanted, drv+"!"+strings.Join(names, ","))
	}
	slices.Sort(wanted)
	for some := range slices.Chunk(wanted, copiedAtOnce) {
		args := append(append([]string{"--realise"}, s.options()...), some...)
		if err := s.nix(ctx, s.limits, "nix-store", args...); err != nil {
			return err
		}
	}
	return nil
}

// build builds the recipe, whose outputs are not in the store. The error is a *failure
// where that is what the recipe came to.
func (s *scratch) build(ctx context.Context, path string) error {
	args := append([]string{"--realise", "--option", "substitute", "false", "--option", "keep-failed", "false"}, s.options()...)
	err := s.nix(ctx, s.limits, "nix-store", append(args, path)...)
	if nix, ok := errors.AsType[*nixError](err); ok {
		return failureOf(nix, path, s.limits)
	}
	return err
}

// A failure is that a build ended without its outputs by its own doing.
type failure struct {
	sentence string
	timedOut bool
	log      []string // the last lines that the build said
}

func (f *failure) Error() string { return f.sentence }

// Exit statuses of nix-store --realise: 100 and a bit for each reason.
const (
	nixBuildFailed = 100
	nixTimedOut    = 1
)

// builderFailed is how Nix says that a builder ended badly, before 2.30 and since.
var builderFailed = regexp.MustCompile(`(?:builder for|Cannot build) '([^']+)'(?:\.\s+Reason: builder)? failed (?:with exit code (\d+)|due to signal (\d+)|(to produce output))`)

// failureOf tells a recipe that failed from everything else that may go wrong: a failure is
// published, so it is one only where Nix says of this recipe's builder that it failed.
func failureOf(nix *nixError, path string, limits Limits) error {
	status := exitStatus(nix.err)
	if status < nixBuildFailed {
		return nix
	}
	f := &failure{log: lastLines(nix.said)}
	if (status-nixBuildFailed)&nixTimedOut != 0 {
		f.sentence, f.timedOut = fmt.Sprintf("the builder was ended after %s", limits.Time), true
		return f
	}
	for _, m := range builderFailed.FindAllStringSubmatch(nix.said, -1) {
		switch {
		case m[1] != path:
		case m[2] != "":
			f.sentence = "the builder exited with status " + m[2]
		case m[3] != "":
			f.sentence = "the builder was ended by signal " + m[3]
		default:
			f.sentence = "the builder did not make all outputs"
		}
	}
	if f.sentence == "" {
		return nix
	}
	return f
}

// lastLines returns the last lines of a text, clipped, for people.
func lastLines(text string) []string {
	const lines, width = 10, 200
	all := strings.Split(strings.TrimSpace(text), "\n")
	last := slices.Clone(all[max(0, len(all)-lines):])
	for i, line := range last {
		last[i] = strings.ToValidUTF8(line[:min(len(line), width)], "�")
	}
	return last
}

// takeOut moves the outputs out of the store, so that they can be built again there, to a
// directory beside it.
func (s *scratch) takeOut(ctx context.Context, made []collect.Made, to string) ([]collect.Made, error) {
	dir := filepath.Join(s.root, to)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	taken := slices.Clone(made)
	args := []string{"--delete", "--ignore-liveness", "--store", s.uri()}
	for i, m := range made {
		taken[i].File = filepath.Join(dir, m.Output)
		if err := move(m.File, taken[i].File); err != nil {
			return nil, fmt.Errorf("keeping an output: %w", err)
		}
		args = append(args, m.Path)
	}
	if err := s.nix(ctx, Limits{}, "nix-store", args...); err != nil {
		return nil, fmt.Errorf("taking outputs out of the store: %w", err)
	}
	return taken, nil
}

// move renames an output. A directory has to be writable for that, and is as it was then.
func move(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return os.Rename(from, to)
	}
	if err := os.Chmod(from, info.Mode().Perm()|0o200); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// configuration is what Nix's settings are for a build in the store.
func (s *scratch) configuration(ctx context.Context) (string, error) {
	// The new name first: the old one is an alias, and goes one day.
	for _, command := range [][]string{{"config", "show"}, {"show-config"}} {
		args := append([]string{"--extra-experimental-features", "nix-command"}, command...)
		text, err := exec.CommandContext(ctx, "nix", args...).Output()
		if err == nil {
			return string(text) + "\nsandbox = true\nstore = " + s.uri() + "\n", nil
		}
	}
	return "", errors.New("'nix config show' does not tell Nix's settings")
}
