package command

import (
	"context"
	"flag"
	"fmt"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

func doctorCommand() cli.Command {
	return cli.Command{
		Name:     "doctor",
		Synopsis: "[--to FILE] [--json] [--dir DIRECTORY]",
		Summary:  "find out why builds are not reported, and what to do",
		About: `  Looks at the directory, the key, the spool, the hook and Nix's settings, and at what the
  aggregator says of this builder, its clock and the key of its log. It changes nothing.

EXIT STATUS
  0   nothing is wrong
  1   something is, for which builds are not recorded or not reported
  64  the command was called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := anyDirFlag(flags)
			file := flags.String("to", reporter.DefaultHookFile, "`file` of the hook's script")
			asJSON := flags.Bool("json", false, "print one JSON array")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := dir()
				if err != nil {
					return err
				}
				examination := reporter.Examination{Home: home, HookFile: *file, NixConfigs: nixConfigs(), Now: time.Now}
				return printFindings(env, examination.Run(ctx), *asJSON)
			}
		},
	}
}

func printFindings(env *cli.Env, findings []reporter.Finding, asJSON bool) error {
	wrong := false
	for _, f := range findings {
		wrong = wrong || f.Condition == reporter.Wrong
		if asJSON {
			continue
		}
		fmt.Fprintf(env.Stdout, "%-5s  %-12s  %s\n", f.Condition, f.Part, f.Says)
		if f.Do != "" {
			fmt.Fprintf(env.Stdout, "%-5s  %-12s  → %s\n", "", "", f.Do)
		}
	}
	if asJSON {
		if err := cli.JSON(env.Stdout, findings); err != nil {
			return err
		}
	}
	if wrong {
		return cli.Exit(cli.Failure)
	}
	return nil
}
