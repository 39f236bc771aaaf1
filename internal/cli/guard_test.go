package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
)

// TestNothingActsOnATerminal: whatever a peer puts into names and texts, a terminal
// shows it.
func TestNothingActsOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n":               "plain\ttext\n",
		"größer als 漢字 🙂":             "größer als 漢字 🙂",
		"\x1b[2J\x1b]0;title\a":       `\u001b[2J\u001b]0;title\u0007`,
		"over\rwritten\b\x7f":         `over\u000dwritten\u0008\u007f`,
		"\u009b2J":                    `\u009b2J`,
		"abc\u202egpj.exe\u2066":      `abc\u202egpj.exe\u2066`,
		"in\u200bvisible\ufeff\u2028": `in\u200bvisible\ufeff\u2028`,
		"\xff\xc3(":                   `\xff\xc3(`,
		"\U000e0041":                  `\udb40\udc41`,
	} {
		for _, step := range []int{len(text), 1, 2} { // characters come in pieces too
			var out bytes.Buffer
			g := &guard{w: &out}
			for rest := text; rest != ""; {
				n, err := g.Write([]byte(rest[:min(step, len(rest))]))
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if out.String() != want {
				t.Errorf("%q by %d bytes: %q, want %q", text, step, out.String(), want)
			}
		}
	}
}

// TestCommandsAreGuarded: what a command prints, and the text of its error.
func TestCommandsAreGuarded(t *testing.T) {
	p := &Program{Name: "p", Commands: []Command{{Name: "c", Prepare: func(*flag.FlagSet) func(context.Context, *Env, []string) error {
		return func(_ context.Context, env *Env, _ []string) error {
			fmt.Fprintln(env.Stdout, "name \x1b[31m")
			return fmt.Errorf("reason \x1b[31m")
		}
	}}}}
	var stdout, stderr strings.Builder
	p.Run(t.Context(), &Env{Stdout: &stdout, Stderr: &stderr}, []string{"c"})
	if all := stdout.String() + stderr.String(); strings.Contains(all, "\x1b") || strings.Count(all, `\u001b[31m`) != 2 {
		t.Errorf("%q", all)
	}
}
