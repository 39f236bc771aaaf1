package command

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"repronet/aggregator/admin"
	"repronet/internal/cli"
)

// A listing is a command that shows what the server has of one kind: a table, a
// row each, or JSON.
type listing[T any] struct {
	fetch  func(admin.Service, context.Context) ([]T, error) // one of its methods
	header []string
	row    func(T) []string
}

func (l listing[T]) prepare(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
	var s settings
	s.declareData(flags)
	asJSON := flags.Bool("json", false, "print JSON")
	return func(ctx context.Context, env *cli.Env, args []string) error {
		if len(args) > 0 {
			return cli.Usagef("unexpected argument %q", args[0])
		}
		return s.administer(ctx, env, func(service admin.Service) error {
			all, err := l.fetch(service, ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(env.Stdout, append([]T{}, all...)) // [] and never null
			}
			return l.print(env.Stdout, all)
		})
	}
}

func (l listing[T]) print(w io.Writer, all []T) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(l.header, "\t"))
	for _, one := range all {
		fmt.Fprintln(table, strings.Join(l.row(one), "\t"))
	}
	return table.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(value)
}
