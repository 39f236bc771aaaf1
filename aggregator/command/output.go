package command

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"repronet.dev/internal/cli"
)

// An output is how a command prints its result: as text for people, or as JSON where it is
// asked for.
type output struct{ json bool }

func (o *output) declare(flags *flag.FlagSet) {
	flags.BoolVar(&o.json, "json", false, "print JSON")
}

// say prints a result that is a sentence.
func (o *output) say(env *cli.Env, result any, format string, args ...any) error {
	return o.print(env, result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// table prints a result that is a list.
func (o *output) table(env *cli.Env, result any, header []string, rows [][]string) error {
	return o.print(env, result, func(w io.Writer) error {
		table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, row := range append([][]string{header}, rows...) {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		return table.Flush()
	})
}

func (o *output) print(env *cli.Env, result any, text func(io.Writer) error) error {
	if !o.json {
		return text(env.Stdout)
	}
	encoder := json.NewEncoder(env.Stdout)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(result)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// plural counts things of a regular English name.
func plural(n int, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
