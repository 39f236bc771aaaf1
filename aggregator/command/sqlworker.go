package command

import (
	"context"
	"flag"

	"repronet.dev/aggregator/console"
	"repronet.dev/internal/cli"
)

// sqlWorker is the process in which one question in SQL is answered, see package console.
func sqlWorker() cli.Command {
	return cli.Command{
		Name: console.WorkerArgument, Synopsis: "", Summary: "answer one question in SQL, for the server that starts it", Hidden: true, NeverFails: true,
		Prepare: func(*flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			return func(ctx context.Context, env *cli.Env, args []string) error {
				return console.Work(ctx, env.Stdin, args)
			}
		},
	}
}
