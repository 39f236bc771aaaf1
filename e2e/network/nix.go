package network

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A NixStore is a Nix store of its own, below a directory: builds in two of them
// are independent of each other, though both say /nix/store.
type NixStore struct {
	Root  string // the store is in Root/nix/store
	Set   string // directory of the package set's default.nix
	Tools string // directory with a static busybox
	Hook  string // post-build-hook, or ""
}

// PrepareTools makes the directory that the package set takes its tools from.
func PrepareTools(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w: install busybox-static", err)
	}
	content, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	// The same mode and name everywhere: both are part of the derivations.
	return os.WriteFile(filepath.Join(dir, "busybox"), content, 0o755)
}

// command returns a Nix command that works on the store alone.
func (s *NixStore) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	config := "store = local?root=" + s.Root + "\nbuild-users-group =\nsandbox = true\nexperimental-features = nix-command\nsubstituters =\n"
	if s.Hook != "" {
		config += "post-build-hook = " + s.Hook + "\n"
	}
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NIX_") }),
		"NIX_CONFIG="+config)
	return command
}

// Build builds an attribute of the set, or all of it if "", with all outputs.
// It goes on after a build that fails, and returns that error.
func (s *NixStore) Build(ctx context.Context, attribute string, log io.Writer, args ...string) error {
	args = append(args, s.Set, "--arg", "tools", s.Tools, "--no-out-link", "--keep-going")
	if attribute != "" {
		args = append(args, "-A", attribute)
	}
	command := s.command(ctx, "nix-build", args...)
	command.Stdout, command.Stderr = log, log
	return command.Run()
}

// derivation is the part of nix show-derivation's answer that is used here.
type derivation struct {
	Outputs map[string]struct {
		Path string `json:"path"`
		Hash string `json:"hash"`
	} `json:"outputs"`
	InputDrvs map[string][]string `json:"inputDrvs"`
	Env       map[string]string   `json:"env"`
	System    string              `json:"system"`
}

// EvalJobs evaluates the set and returns what nix-eval-jobs would print for it:
// a JSON line for each attribute.
func (s *NixStore) EvalJobs(ctx context.Context) ([]byte, error) {
	// Only this writes the derivations to the store.
	if _, err := output(s.command(ctx, "nix-instantiate", s.Set, "--arg", "tools", s.Tools)); err != nil {
		return nil, err
	}
	names, err := output(s.command(ctx, "nix-instantiate", "--eval", "--strict", "--json", "--expr",
		fmt.Sprintf("builtins.mapAttrs (n: d: d.drvPath) (import %s { tools = %s; })", s.Set, s.Tools)))
	if err != nil {
		return nil, err
	}
	var drvs map[string]string
	if err := json.Unmarshal([]byte(names), &drvs); err != nil {
		return nil, fmt.Errorf("reading nix-instantiate's answer: %w", err)
	}
	paths := slices.Sorted(maps.Values(drvs))
	text, err := output(s.command(ctx, "nix", append([]string{"show-derivation"}, paths...)...))
	if err != nil {
		return nil, err
	}
	var derivations map[string]derivation
	if err := json.Unmarshal([]byte(text), &derivations); err != nil {
		return nil, fmt.Errorf("reading nix show-derivation's answer: %w", err)
	}
	var lines []byte
	for _, attribute := range slices.Sorted(maps.Keys(drvs)) {
		line, err := evalJob(attribute, drvs[attribute], derivations[drvs[attribute]])
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines, nil
}

func evalJob(attribute, drv string, d derivation) ([]byte, error) {
	outputs := map[string]string{}
	fixed := false
	for name, o := range d.Outputs {
		outputs[name] = o.Path
		fixed = fixed || o.Hash != ""
	}
	return json.Marshal(map[string]any{
		"attr": attribute, "attrPath": []string{attribute}, "drvPath": drv, "name": d.Env["name"],
		"system": d.System, "outputs": outputs, "inputDrvs": d.InputDrvs, "fixed": fixed,
	})
}

// Output returns the store path of an attribute's output.
func (s *NixStore) Output(ctx context.Context, attribute, name string) (string, error) {
	text, err := output(s.command(ctx, "nix-instantiate", "--eval", "--json", "--expr",
		fmt.Sprintf("(import %s { tools = %s; }).%s.%s.outPath", s.Set, s.Tools, attribute, name)))
	if err != nil {
		return "", err
	}
	var path string
	err = json.Unmarshal([]byte(text), &path)
	return path, err
}
