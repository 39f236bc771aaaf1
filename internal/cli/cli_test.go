package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/cli"
	"repronet.dev/internal/version"
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
			saying("greet all", "greet everybody", "hello, all"),
			saying("wave left", "wave with the left hand", "o/"),
			saying("wave right", "wave with the right hand", "\\o"),
		},
	}
}

// saying is a command that prints one line.
func saying(name, summary, line string) cli.Command {
	return cli.Command{
		Name: name, Summary: summary,
		Prepare: func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			return func(_ context.Context, env *cli.Env, _ []string) error {
				_, err := fmt.Fprintln(env.Stdout, line)
				return err
			}
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
	const commands = "Run 'greeter help' for the list of commands.\n"
	const waves = "  wave left          wave with the left hand\n  wave right         wave with the right hand\n"
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
		{"insult ann bob", 64, "", "greeter: unknown command \"insult ann\"\n" + commands},
		{"help insult", 64, "", "greeter: unknown command \"insult\"\n" + commands},
		{"gret ann", 64, "", "greeter: unknown command \"gret ann\"\nDid you mean 'greeter greet'?\n" + commands},
		{"help rgeet", 64, "", "greeter: unknown command \"rgeet\"\nDid you mean 'greeter greet'?\n" + commands},
		{"wave lft", 64, "", "greeter: unknown command \"wave lft\"\nDid you mean 'greeter wave left'?\n" + commands},
		{"help wave rihgt", 64, "", "greeter: unknown command \"wave rihgt\"\nDid you mean 'greeter wave right'?\n" + commands},
		{"wave", 64, "", "greeter: \"wave\" is the beginning of several commands:\n" + waves},
		{"help wave", 0, "COMMANDS\n" + waves + "\nRun 'greeter help COMMAND' for a command's manual.\n", ""},
		{"vers", 64, "", "greeter: unknown command \"vers\"\nDid you mean 'greeter version'?\n" + commands},
		{"versoin", 64, "", "greeter: unknown command \"versoin\"\nDid you mean 'greeter version'?\n" + commands},
		{"--version now", 64, "", "greeter version: \"now\" is one argument too many\n" + strings.Replace(hint, "greet'", "version'", 1)},
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

// TestVersion: what is printed of a program follows from how it was built, here as a
// test.
func TestVersion(t *testing.T) {
	want := "greeter " + version.Get().String()
	for _, args := range []string{"version", "--version"} {
		if status, stdout, stderr := run(t, args); status != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: status %d, stdout %q, want %q, stderr %q", args, status, stdout, want, stderr)
		}
	}
	_, stdout, _ := run(t, "version", "--json")
	var got struct {
		Program string
		version.Info
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if got.Program != "greeter" || got.Info != version.Get() {
		t.Errorf("--json says %s", stdout)
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

// TestHidden: what a program starts by itself is in no list, and runs.
func TestHidden(t *testing.T) {
	p := program()
	inner := saying("greet-worker", "greet for another greeter", "at work")
	inner.Hidden = true
	p.Commands = append(p.Commands, inner)
	for _, args := range [][]string{{"help"}, {"completion", "bash"}, {"greet-worke"}} {
		var out bytes.Buffer
		p.Run(t.Context(), &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}, args)
		if strings.Contains(out.String(), "greet-worker") {
			t.Errorf("%v lists it:\n%s", args, out.String())
		}
	}
	var out bytes.Buffer
	if status := p.Run(t.Context(), &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}, []string{"greet-worker"}); status != 0 || out.String() != "at work\n" {
		t.Errorf("status %d: %s", status, out.String())
	}
}
