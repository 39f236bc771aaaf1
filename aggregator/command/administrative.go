package command

import (
	"context"
	"flag"

	"repronet.dev/aggregator/admin"
	"repronet.dev/internal/cli"
)

// An administrative is a command that is one call: what is asked follows from its flags
// and arguments, and what is answered is printed.
type administrative[Req, Resp any] struct {
	call admin.Call[Req, Resp]
	// ask declares the command's own flags and returns what reads them.
	ask func(flags *flag.FlagSet) func(args []string) (Req, error)
	// show prints the answer.
	show func(env *cli.Env, out *output, answer Resp) error
}

func (a administrative[Req, Resp]) prepare(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
	var s settings
	s.declareData(flags)
	ask := a.ask(flags)
	var out output
	out.declare(flags)
	return func(ctx context.Context, env *cli.Env, args []string) error {
		request, err := ask(args)
		if err != nil {
			return err
		}
		return s.administer(ctx, env, func(to admin.Caller) error {
			answer, err := a.call.DoWith(ctx, to, request, admin.Streams{Progress: env.Stderr})
			if err != nil {
				return err
			}
			return a.show(env, &out, answer)
		})
	}
}

// nothing is what a command asks that has neither flags nor arguments.
func nothing(*flag.FlagSet) func([]string) (admin.None, error) {
	return func(args []string) (admin.None, error) { return admin.None{}, noArguments(args) }
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q", args[0])
	}
	return nil
}
