package network

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A GoProgram is one of the programs that are built where there is no Nix.
type GoProgram struct {
	Name   string
	Source string
	Flags  []string // of go build
	// Reproducible tells what the builds should show.
	Reproducible bool
}

// GoPrograms are real programs, and the reasons for which real programs do not
// reproduce: a path, a time, and files that are generated with one.
func GoPrograms() []GoProgram {
	const hello = `package main

import "fmt"

var built = "an unknown time"

func main() { fmt.Println("hello, built at", built) }
`
	const sorted = `package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
)

func main() {
	var lines []string
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		lines = append(lines, in.Text())
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}
`
	const digest = `package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

func main() {
	h := sha256.New()
	if _, err := io.Copy(h, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%x\n", h.Sum(nil))
}
`
	trim := []string{"-trimpath"}
	return []GoProgram{
		{"hello", hello, trim, true},
		{"sort", sorted, trim, true},
		{"digest", digest, trim, true},
		{"digest-stripped", digest, []string{"-trimpath", "-ldflags=-s -w"}, true},
		{"hello-untrimmed", hello, nil, false},
		{"sort-untrimmed", sorted, nil, false},
		{"hello-stamped", hello, []string{"-trimpath", "-ldflags=-X main.built=$TIME"}, false},
	}
}

// BuildGo has the reporter build a program below dir, really, and record it.
// time is what a stamped program is built with.
func (r *Reporter) BuildGo(ctx context.Context, program GoProgram, dir, time string, log io.Writer) error {
	source := filepath.Join(dir, program.Name)
	if err := os.MkdirAll(source, 0o750); err != nil {
		return err
	}
	files := map[string]string{"go.mod": "module repronet.example/" + program.Name + "\n\ngo 1.26\n", "main.go": program.Source}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	binary := filepath.Join(source, program.Name)
	args := []string{
		"--ecosystem", "go", "--build", "repronet.example/" + program.Name + "@v1.0.0", "--output", "linux-amd64=" + binary,
		"--", "go", "build", "-buildvcs=false", "-o", binary,
	}
	for _, flag := range program.Flags {
		args = append(args, strings.ReplaceAll(flag, "$TIME", time))
	}
	command := r.Exec(ctx, append(args, ".")...)
	command.Dir = source
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return fmt.Errorf("building %s: %w", program.Name, err)
	}
	return nil
}

// HasNix tells whether real Nix builds can be made here: by root, with a static
// busybox.
func HasNix() bool {
	for _, name := range []string{"nix-build", "busybox"} {
		if _, err := exec.LookPath(name); err != nil {
			return false
		}
	}
	return os.Getuid() == 0
}
