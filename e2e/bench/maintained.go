package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
)

const (
	maintainedSet = "maintained"
	maintainers   = 500
	maintained    = 50_000 // outputs of the set, at most
)

// maintainer is the name of one of those whom the set names.
func maintainer(n int) string { return fmt.Sprintf("maintainer-%d", n%maintainers) }

// publishMaintained publishes a package set that says who maintains its outputs, unless the
// server has it already.
func (b *bench) publishMaintained(ctx context.Context) error {
	_, err := b.filled.get(ctx, "/sets/"+maintainedSet)
	if !errors.Is(err, errStatus) {
		return err
	}
	type person struct {
		GitHub string `json:"github"`
	}
	var lines bytes.Buffer
	for n := range min(maintained, b.whole()) {
		output := outputPath(n)
		line, err := json.Marshal(map[string]any{
			"attr": fmt.Sprintf("package%d", n), "drvPath": output + ".drv", "system": "x86_64-linux", "outputs": map[string]string{"out": output},
			"meta": map[string]any{"maintainers": []person{{maintainer(int(n))}}},
		})
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	file := filepath.Join(b.tmp, "maintained.jsonl")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		return err
	}
	if _, err := b.filled.Command(ctx, "sets publish", maintainedSet, "--revision", "1", "--from", file); err != nil {
		return err
	}
	return b.filled.settled(ctx)
}
