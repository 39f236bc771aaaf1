package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A release is what is made of one commit.
type release struct {
	out, engine string
	version     string // "v1.2.3", or a pseudo-version
	platforms   []string

	time             time.Time // of everything
	stage, artifacts string    // directories
}

// programs are those of a release, each of which is also a package.
var programs = []string{"repronet-aggregator", "repronet-reporter", "repronet-verify"}

// build compiles the programs for every platform.
func (r *release) build(ctx context.Context) error {
	linker := "-s -w"
	if r.version != "" {
		linker += " -X repronet.dev/internal/version.tag=" + r.version
	}
	for _, platform := range r.platforms {
		goos, goarch, _ := strings.Cut(platform, "/")
		for _, program := range programs {
			say("building %s for %s", program, platform)
			env := []string{"CGO_ENABLED=0", "GOFLAGS=", "GOOS=" + goos, "GOARCH=" + goarch, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT="}
			if err := run(ctx, env, "go", "build", "-trimpath", "-buildvcs=auto", "-ldflags="+linker, "-o", r.binary(platform, program), "./cmd/"+program); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *release) binary(platform, program string) string {
	return filepath.Join(r.stage, filepath.FromSlash(platform), program)
}

// describe takes the version and the time that are not given from what the toolchain wrote
// into a program.
func (r *release) describe(context.Context) error {
	info, err := buildinfo.ReadFile(r.binary(r.platforms[0], programs[0]))
	if err != nil {
		return err
	}
	if r.version == "" {
		r.version = info.Main.Version
	}
	if !strings.HasPrefix(r.version, "v") {
		return fmt.Errorf("the version is %q: build in a clone of the repository, or say --version v1.2.3", r.version)
	}
	if strings.HasSuffix(r.version, "+dirty") {
		say("files differ from the commit: nobody else can make these bytes")
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds", epoch)
		}
		r.time = time.Unix(seconds, 0).UTC()
		return nil
	}
	at := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.time" })
	if at < 0 {
		return errors.New("the commit's time is not known: build in a clone of the repository, or set SOURCE_DATE_EPOCH")
	}
	r.time, err = time.Parse(time.RFC3339, info.Settings[at].Value)
	return err
}

// sums writes SHA256SUMS, in the form that sha256sum checks.
func (r *release) sums(context.Context) error {
	files, err := os.ReadDir(r.artifacts) // sorted
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, file := range files {
		sum, err := digest(filepath.Join(r.artifacts, file.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sum, file.Name())
	}
	return os.WriteFile(filepath.Join(r.artifacts, "SHA256SUMS"), []byte(sums.String()), 0o644) //nolint:gosec // everybody may read it
}

func digest(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return hash.Sum(nil), err
}

// run runs a command, whose messages are this program's.
func run(ctx context.Context, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// say tells who waits how far it is.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
