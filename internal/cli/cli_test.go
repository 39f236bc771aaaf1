package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet/internal/cli"
)

var update = flag.Bool("update", false, "rewrite testdata")

func program() *cli.Program {
	return &cli.Program{
		Name: "greeter", Summary: "greet people", About: "  Greets whom it is told to.\n",
		Commands: []cli.Command{
			{
				Name: "greet", Synopsis: "[--loud] [--times N] NAME...", Summary: "greet somebody",
				About: "  Prints a greeting for each NAME.\n\nEXIT STATUS\n  3 if somebody did not answer.",
				Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
					loud := flags.Bool("loud", false, "shout")
					times := flags.Int("times", 1, "greet `n` times,\none after the other")
					return func(_ context.Context, env *cli.Env, names []string) error {
						if len(names) == 0 {
							return cli.Usagef("nobody is named")
						}
						fmt.Fprintf(env.Stdout, "%v %d %s\n", *loud, *times, strings.Join(names, ","))
						switch names[0] {
						case "silent":
							return cli.Exit(3)
						case "rude":
							return &cli.ExitError{Status: 3, Err: errors.New("no answer")}
						case "broken":
							return fmt.Errorf("greeting: %w", io.ErrUnexpectedEOF)
						}
						return nil
					}
				},
			},
			{
				Name: "greet all", Summary: "greet everybody",
				Prepare: func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
					return func(_ context.Context, env *cli.Env, _ []string) error {
						_, err := fmt.Fprintln(env.Stdout, "hello, all")
						return err
					}
				},
			},
		},
	}
}

func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, messages bytes.Buffer
	status = program().Run(t.Context(), &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &messages}, args)
	return status, out.String(), messages.String()
}

func TestRun(t *testing.T) {
	const hint = "Run 'greeter help greet' for how to call it.\n"
	for _, test := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"greet ann", 0, "false 1 ann\n", ""},
		{"greet --loud --times 2 ann", 0, "true 2 ann\n", ""},
		{"greet ann --times=2 bob --loud", 0, "true 2 ann,bob\n", ""},
		{"greet ann -- --loud -- x", 0, "false 1 ann,--loud,--,x\n", ""},
		{"greet -- --loud", 0, "false 1 --loud\n", ""},
		{"greet --times 3 -- cp -- -n", 0, "false 3 cp,--,-n\n", ""},
		{"greet all", 0, "hello, all\n", ""},
		{"greet silent", 3, "false 1 silent\n", ""},
		{"greet rude", 3, "false 1 rude\n", "greeter greet: no answer\n"},
		{"greet broken", 1, "false 1 broken\n", "greeter greet: greeting: unexpected EOF\n"},
		{"greet", 64, "", "greeter greet: nobody is named\n" + hint},
		{"greet --quiet ann", 64, "", "greeter greet: flag provided but not defined: -quiet\n" + hint},
		{"greet ann --times", 64, "", "greeter greet: flag needs an argument: -times\n" + hint},
		{"greet ann --times x", 64, "", "greeter greet: invalid value \"x\" for flag -times: parse error\n" + hint},
		{"insult ann bob", 64, "", "greeter: unknown command \"insult ann\"\nRun 'greeter help' for the list of commands.\n"},
		{"help insult", 64, "", "greeter: unknown command \"insult\"\nRun 'greeter help' for the list of commands.\n"},
		{"version", 0, "greeter unknown\n", ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := run(t, strings.Fields(test.args)...)
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			if diff := cmp.Diff(test.stdout, stdout); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.stderr, stderr); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHelp: help that was asked for is data, on standard output.
func TestHelp(t *testing.T) {
	for _, test := range []struct{ golden, args string }{
		{"testdata/program.txt", "help"},
		{"testdata/program.txt", "--help"},
		{"testdata/command.txt", "help greet"},
		{"testdata/command.txt", "greet --help"},
		{"testdata/command.txt", "greet ann -h"},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := run(t, strings.Fields(test.args)...)
			if status != 0 || stderr != "" {
				t.Errorf("exit status %d, stderr %q", status, stderr)
			}
			if *update {
				if err := os.WriteFile(test.golden, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(test.golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), stdout); diff != "" {
				t.Errorf("help (-want +got):\n%s", diff)
			}
		})
	}
	if status, stdout, stderr := run(t); status != 64 || stdout != "" || !strings.HasPrefix(stderr, "NAME\n") {
		t.Errorf("without arguments: status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}
