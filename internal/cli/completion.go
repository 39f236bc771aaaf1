package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// shells are those for which there is a script, with what has each read it.
var shells = map[string]string{
	"bash": "",
	"zsh":  "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n",
}

// completionCommand is the command of every program that has a shell complete its calls.
func (p *Program) completionCommand() Command {
	return Command{
		Name: "completion", Synopsis: "bash | zsh", Summary: "print a script by which a shell completes commands",
		About: `  Prints a script that completes the names of commands and options, and otherwise
  files. The packages install it for bash.

EXAMPLES
  source <(` + p.Name + ` completion bash)`,
		Prepare: func(*flag.FlagSet) func(context.Context, *Env, []string) error {
			return func(_ context.Context, env *Env, args []string) error {
				if len(args) != 1 {
					return Usagef("name one shell: bash or zsh")
				}
				before, known := shells[args[0]]
				if !known {
					return Usagef("there is no script for %q, but for bash and zsh", args[0])
				}
				if _, err := io.WriteString(env.Stdout, before); err != nil {
					return err
				}
				return p.Completion(env.Stdout)
			}
		},
	}
}

// Completion writes a script for bash: for each command what can stand after it.
func (p *Program) Completion(w io.Writer) error {
	function := "_" + strings.ReplaceAll(p.Name, "-", "_")
	_, err := fmt.Fprintf(w, `# Completion of %s, made from its commands.
%s() {
	local word=${COMP_WORDS[COMP_CWORD]} before=" ${COMP_WORDS[*]:1:COMP_CWORD-1} "
	COMPREPLY=()
	case $before in
%s	esac
}
complete -o default -F %[2]s %[1]s
`, p.Name, function, p.cases())
	return err
}

// cases are the branches by what was typed before the word: first what a next word of a
// command's name can follow, then the commands, those with the longest names first.
func (p *Program) cases() string {
	commands := p.shown()
	options := map[string][]string{} // of the command of this name
	next := map[string][]string{"": {"help", "--help", "--version"}}
	for _, c := range commands {
		flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
		c.Prepare(flags)
		options[c.Name] = []string{"--help"}
		flags.VisitAll(func(f *flag.Flag) { options[c.Name] = append(options[c.Name], "--"+f.Name) })
		words := strings.Fields(c.Name)
		for i, word := range words {
			if before := strings.Join(words[:i], " "); !slices.Contains(next[before], word) {
				next[before] = append(next[before], word)
			}
		}
	}
	var branches strings.Builder
	branch := func(pattern, condition string, words []string) {
		fmt.Fprintf(&branches, "\t%s) %sCOMPREPLY=($(compgen -W '%s' -- \"$word\")) ;;\n", pattern, condition, strings.Join(words, " "))
	}
	for _, before := range slices.Sorted(maps.Keys(next)) {
		branch(fmt.Sprintf("\" %s \"", before), "", slices.Concat(next[before], options[before]))
		branch(fmt.Sprintf("\" %s \"", strings.TrimSpace("help "+before)), "", next[before])
	}
	slices.SortStableFunc(commands, func(a, b Command) int {
		return cmp.Compare(len(strings.Fields(b.Name)), len(strings.Fields(a.Name)))
	})
	for _, c := range commands {
		// What else a command takes are files, or names that nobody can know here.
		branch(fmt.Sprintf("\" %s \"*", c.Name), "[[ $word == -* ]] && ", options[c.Name])
	}
	return branches.String()
}
