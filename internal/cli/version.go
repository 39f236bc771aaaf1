package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"

	"repronet.dev/internal/version"
)

// versionCommand is the command of every program that says what it was built from.
func (p *Program) versionCommand() Command {
	return Command{
		Name: "version", Synopsis: "[--json]", Summary: "say what this program was built from",
		About: "  Prints the version, the commit and whether files differed from it, as far as\n" +
			"  they are known, and the Go toolchain and platform. --version does the same.",
		Prepare: func(flags *flag.FlagSet) func(context.Context, *Env, []string) error {
			asJSON := flags.Bool("json", false, "print JSON")
			return func(_ context.Context, env *Env, args []string) error {
				if len(args) > 0 {
					return Usagef("%q is one argument too many", args[0])
				}
				info := version.Get()
				if !*asJSON {
					_, err := fmt.Fprintf(env.Stdout, "%s %s", p.Name, info)
					return err
				}
				out := json.NewEncoder(env.Stdout)
				out.SetIndent("", "  ")
				return out.Encode(struct {
					Program string `json:"program"`
					version.Info
				}{p.Name, info})
			}
		},
	}
}
