// Package cli is what the three programs share in how they speak: subcommands
// with manual-page help, usage errors with status 64, results on standard
// output and messages on standard error.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Exit statuses that mean the same in every program.
const (
	OK      = 0
	Failure = 1
	Usage   = 64 // sysexits.h: EX_USAGE
)

// Env is the world a command runs in, so that tests can run it in-process.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// System is the Env of the process.
func System() *Env { return &Env{os.Stdin, os.Stdout, os.Stderr} }

// A Program is a command with subcommands.
type Program struct {
	Name     string // as typed
	Summary  string // one line
	About    string // paragraphs of the manual page
	Commands []Command
	// Variables are the environment variables that begin with Prefix and mean something.
	// Another one with that beginning is a mistake, and refused; no Prefix checks none.
	Prefix    string
	Variables []string
}

// A Command is one subcommand. Its name may be of several words ("builders
// enrol").
type Command struct {
	Name     string
	Synopsis string // of the arguments, as in a manual page
	Summary  string // one line
	About    string // paragraphs: description, exit statuses, examples
	// Prepare declares the flags and returns what runs with the arguments left
	// after them.
	Prepare func(flags *flag.FlagSet) func(ctx context.Context, env *Env, args []string) error
	// Hidden keeps the command out of lists: a program starts it by itself.
	Hidden bool
	// NeverFails has the command run whatever is in the environment: others depend on it.
	NeverFails bool
}

// ExitError ends the program with a status; its message may be empty.
type ExitError struct {
	Status int
	Err    error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Exit returns an error that ends the program with a status and no message.
func Exit(status int) error { return &ExitError{Status: status} }

// Usagef returns an error for a call that was written wrongly.
func Usagef(format string, args ...any) error {
	return &ExitError{Status: Usage, Err: fmt.Errorf(format, args...)}
}

// Run runs the program with the arguments after its name and returns the exit
// status.
func (p *Program) Run(ctx context.Context, env *Env, args []string) int {
	env = env.guarded()
	if len(args) == 0 {
		p.help(env.Stderr)
		return Usage
	}
	switch args[0] {
	case "--version":
		args = append([]string{"version"}, args[1:]...)
	case "help", "-h", "--help", "-help":
		return p.helpWith(env, args[1:])
	}
	command, rest := p.find(args)
	if command == nil {
		return p.unknown(env, args)
	}
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	run := command.Prepare(flags)
	operands, err := parse(flags, rest)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			p.commandHelp(env.Stdout, command)
			return OK
		}
		return p.fail(env, command, &ExitError{Status: Usage, Err: err})
	}
	if err := p.checkEnvironment(os.Environ()); err != nil && !command.NeverFails {
		return p.fail(env, command, &ExitError{Status: Usage, Err: err})
	}
	if err := run(ctx, env, operands); err != nil {
		return p.fail(env, command, err)
	}
	return OK
}

// checkEnvironment refuses variables that look like the program's and mean nothing.
func (p *Program) checkEnvironment(environment []string) error {
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		if p.Prefix != "" && strings.HasPrefix(name, p.Prefix) && !slices.Contains(p.Variables, name) {
			meaning := "none"
			if len(p.Variables) > 0 {
				meaning = strings.Join(p.Variables, ", ")
			}
			return fmt.Errorf("the environment variable %s means nothing; of those that begin with %s there is %s", name, p.Prefix, meaning)
		}
	}
	return nil
}

// helpWith prints the manual of the command that args name, or the list of those that
// begin with them; the program's own manual where there are none.
func (p *Program) helpWith(env *Env, args []string) int {
	if len(args) == 0 {
		p.help(env.Stdout)
		return OK
	}
	if command, _ := p.find(args); command != nil {
		p.commandHelp(env.Stdout, command)
		return OK
	}
	family := p.family(args[0])
	if len(family) == 0 || len(args) > 1 {
		return p.unknown(env, args)
	}
	fmt.Fprintln(env.Stdout, "COMMANDS")
	list(env.Stdout, family)
	fmt.Fprintf(env.Stdout, "\nRun '%s help COMMAND' for a command's manual.\n", p.Name)
	return OK
}

// parse reads flags before, between and after the operands, which it returns.
// What comes after "--" is operands.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var operands []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if read := len(args) - len(rest); len(rest) == 0 || read > 0 && args[read-1] == "--" {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

func (p *Program) fail(env *Env, command *Command, err error) int {
	status := Failure
	if exit, ok := errors.AsType[*ExitError](err); ok {
		status = exit.Status
		if exit.Err == nil {
			return status
		}
	}
	fmt.Fprintf(env.Stderr, "%s %s: %v\n", p.Name, command.Name, err)
	if status == Usage {
		fmt.Fprintf(env.Stderr, "Run '%s help %s' for how to call it.\n", p.Name, command.Name)
	}
	return status
}

// all returns the program's own commands and those that every program has.
func (p *Program) all() []Command {
	return append(slices.Clip(p.Commands), p.completionCommand(), p.versionCommand())
}

// shown returns the commands that are not hidden.
func (p *Program) shown() []Command {
	return slices.DeleteFunc(p.all(), func(c Command) bool { return c.Hidden })
}

// find returns the command with the longest name that args begin with.
func (p *Program) find(args []string) (*Command, []string) {
	var found *Command
	words := 0
	for _, c := range p.all() {
		n := len(strings.Fields(c.Name))
		if n > words && len(args) >= n && strings.Join(args[:n], " ") == c.Name {
			found, words = &c, n
		}
	}
	return found, args[words:]
}

func (p *Program) help(w io.Writer) {
	fmt.Fprintf(w, "NAME\n  %s - %s\n\nSYNOPSIS\n  %s COMMAND [OPTIONS] [ARGUMENTS]\n\n%s\n\nCOMMANDS\n", p.Name, p.Summary, p.Name, strings.Trim(p.About, "\n"))
	list(w, p.shown())
	fmt.Fprintf(w, "\nRun '%s help COMMAND' for a command's manual.\n", p.Name)
}

// list prints a line for each command.
func list(w io.Writer, commands []Command) {
	for _, c := range commands {
		fmt.Fprintf(w, "  %-18s %s\n", c.Name, c.Summary)
	}
}

func (p *Program) commandHelp(w io.Writer, command *Command) {
	fmt.Fprintf(w, "NAME\n  %s %s - %s\n\nSYNOPSIS\n  %s %s %s\n", p.Name, command.Name, command.Summary, p.Name, command.Name, command.Synopsis)
	if about := strings.Trim(command.About, "\n"); about != "" {
		fmt.Fprintf(w, "\nDESCRIPTION\n%s\n", about)
	}
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	command.Prepare(flags)
	heading := "\nOPTIONS\n"
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s  --%s %s", heading, f.Name, strings.ToUpper(value)), " "))
		fmt.Fprintf(w, "      %s", strings.ReplaceAll(usage, "\n", "\n      "))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
		heading = ""
	})
}
