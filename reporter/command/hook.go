package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/collect"
)

// hookTimeout ends a hook that hangs on a slow disk or a locked database: the
// build behind it is waiting.
const hookTimeout = 30 * time.Second

func hookCommand() cli.Command {
	return cli.Command{
		Name: "hook nix", NeverFails: true,
		Synopsis: "[--dir DIRECTORY] [--store URI]",
		Summary:  "record a build that Nix has just made (post-build-hook)",
		About: `  Nix calls it after each build with DRV_PATH, OUT_PATHS and NIX_CONFIG in the
  environment. It records the outputs' hashes and a digest of the inputs' in the
  spool and returns; it never uses the network. Fixed-output derivations and what
  a remote builder made are no evidence of this machine, and are left out.

  'hook install' writes the script for nix.conf that calls it.

EXIT STATUS
  0   always: a hook that fails would stop all further builds. What went wrong is
      on standard error, and in 'repronet-reporter status'.`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := anyDirFlag(flags)
			store := flags.String("store", "", "the Nix store's `URI` where NIX_CONFIG does not say it (default NIX_REMOTE)")
			return func(ctx context.Context, env *cli.Env, _ []string) error {
				ctx, cancel := context.WithTimeout(ctx, hookTimeout)
				defer cancel()
				home, err := dir()
				if err == nil {
					err = home.BecomeOwner()
				}
				if err == nil {
					err = recordNix(ctx, home, *store)
				}
				if err != nil {
					fmt.Fprintf(env.Stderr, "repronet-reporter hook nix: %v\n", err)
				}
				return nil
			}
		},
	}
}

func recordNix(ctx context.Context, home reporter.Home, store string) error {
	if store == "" {
		store = os.Getenv("NIX_REMOTE")
	}
	record, err := collect.Nix(ctx, collect.NixBuild{
		Drv: os.Getenv("DRV_PATH"), OutPaths: strings.Fields(os.Getenv("OUT_PATHS")), Config: os.Getenv("NIX_CONFIG"),
		Store: store, Cache: string(home),
	})
	if errors.Is(err, collect.ErrNotEvidence) {
		return nil
	}
	if err == nil {
		err = home.Spool().Put(record)
	}
	if err != nil {
		home.Spool().Report("hook nix", err.Error())
	}
	return err
}
