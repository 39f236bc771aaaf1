package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
)

// TestCompletion has bash complete calls as it does at a prompt.
func TestCompletion(t *testing.T) {
	bash := needtest.Program(t, "bash", "bash")
	status, text, _ := run(t, "completion", "bash")
	if status != 0 {
		t.Fatalf("status %d", status)
	}
	script := filepath.Join(t.TempDir(), "greeter")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"":                   "--help --version completion greet help version wave",
		"w":                  "wave",
		"wave ":              "left right",
		"wave l":             "left",
		"help wave ":         "left right",
		"help g":             "greet",
		"greet --":           "--help --loud --times",
		"greet alice --ti":   "--times",
		"greet all --":       "--help",
		"greet ":             "--help --loud --times all",
		"greet al":           "all",
		"version --":         "--help --json",
		"nothing of this -":  "",
		"greet $(false) --l": "--loud",
	} {
		const complete = `source "$1"; shift; COMP_WORDS=(greeter "$@"); COMP_CWORD=$#; _greeter; printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | tr '\n' ' '`
		out, err := exec.Command(bash, append([]string{"--norc", "-c", complete, "bash", script}, strings.Split(typed, " ")...)...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
	}
	if status, text, _ := run(t, "completion", "zsh"); status != 0 || !strings.Contains(text, "bashcompinit") {
		t.Errorf("zsh: %d, %s", status, text)
	}
	for _, args := range [][]string{{"completion"}, {"completion", "fish"}, {"completion", "bash", "zsh"}} {
		if status, _, message := run(t, args...); status != 64 || !strings.Contains(message, "bash") {
			t.Errorf("%q: %d, %s", args, status, message)
		}
	}
}
