package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestOperandsAndFlagsInAnyOrder(t *testing.T) {
	program := &Program{Name: "program", Commands: []Command{{
		Name: "do this",
		Prepare: func(flags *flag.FlagSet) func(context.Context, *Env, []string) error {
			n := flags.Int("n", 0, "a `number`")
			v := flags.Bool("v", false, "verbose")
			return func(_ context.Context, env *Env, args []string) error {
				_, err := fmt.Fprintf(env.Stdout, "n=%d v=%t %q", *n, *v, args)
				return err
			}
		},
	}}}
	for args, want := range map[string]string{
		"do this":                   `n=0 v=false []`,
		"do this a b":               `n=0 v=false ["a" "b"]`,
		"do this a --n 3 b -v":      `n=3 v=true ["a" "b"]`,
		"do this --n 3 a":           `n=3 v=false ["a"]`,
		"do this a -- --n 3":        `n=0 v=false ["a" "--n" "3"]`,
		"do this -v -- make -j 2":   `n=0 v=true ["make" "-j" "2"]`,
		"do this --n 3 -- cp -- -n": `n=3 v=false ["cp" "--" "-n"]`,
	} {
		var out strings.Builder
		if status := program.Run(t.Context(), &Env{Stdout: &out, Stderr: io.Discard}, strings.Fields(args)); status != OK || out.String() != want {
			t.Errorf("%s: %d, %s; want %s", args, status, out.String(), want)
		}
	}
	if status := program.Run(t.Context(), &Env{Stdout: io.Discard, Stderr: io.Discard}, []string{"do", "this", "a", "--m"}); status != Usage {
		t.Errorf("an unknown flag after an operand: status %d, want %d", status, Usage)
	}
}
