package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	aggregator "repronet.dev/aggregator/command"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	reports "repronet.dev/reporter/command"
	verify "repronet.dev/verify/command"
)

// texts makes what belongs to each program beside its binary, out of the program itself:
// manuals in stage/PROGRAM/man, a completion in stage/PROGRAM/completion.
func (r *release) texts(context.Context) error {
	for _, program := range []*cli.Program{aggregator.Program(), reports.Program(), verify.Program()} {
		manual := &cli.Manual{Program: program, Version: r.version, Date: r.time}
		for name, page := range manual.Pages() {
			if err := r.put(page, program.Name, "man", name+".1"); err != nil {
				return err
			}
		}
		var completion bytes.Buffer
		if err := program.Completion(&completion); err != nil {
			return err
		}
		if err := r.put(completion.Bytes(), program.Name, "completion"); err != nil {
			return err
		}
	}
	service := reporter.Service{
		Description: "Report what this machine builds", Program: "/usr/bin/repronet-reporter",
		Home: "/var/lib/repronet-reporter", User: "repronet-reporter", // as scripts/reporter-postinstall makes them
	}
	return r.put([]byte(service.Unit()), "repronet-reporter", "repronet-reporter.service")
}

// put writes a file below stage, with the release's time: nfpm keeps that.
func (r *release) put(content []byte, path ...string) error {
	file := filepath.Join(append([]string{r.stage}, path...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // everybody may read it
		return err
	}
	if err := os.WriteFile(file, content, 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
