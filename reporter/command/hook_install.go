package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

func hookInstallCommand() cli.Command {
	return cli.Command{
		Name:     "hook install",
		Synopsis: "[--to FILE] [--json] [--dir DIRECTORY] [--store URI]",
		Summary:  "write the script for Nix's post-build-hook",
		About: `  Writes a script that calls 'hook nix' for the reporter's directory, and prints the
  line for nix.conf. Nix's daemon runs the script as root: so root installs it, and
  neither the script nor this program may be what another user could replace. Where
  the directory belongs to another user, the hook gives up root's rights for that
  user's before it touches it.

  The script is outside of the reporter's directory and does nothing where this
  program is gone, so that no build breaks with it.

EXIT STATUS
  0   the script is there
  1   it could not be written, or would not be safe
  64  the command was called wrongly

EXAMPLES
  sudo repronet-reporter hook install --dir /home/alice/.local/state/repronet-reporter`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := anyDirFlag(flags)
			var hook reporter.Hook
			flags.StringVar(&hook.File, "to", reporter.DefaultHookFile, "`file` of the script")
			flags.StringVar(&hook.Store, "store", "", "the Nix store's `URI`, where builds are made with --store or in several stores")
			asJSON := flags.Bool("json", false, "print one JSON object")
			return func(_ context.Context, env *cli.Env, args []string) (err error) {
				if err := noArguments(args); err != nil {
					return err
				}
				if hook.Home, err = dir(); err != nil {
					return err
				}
				if _, err := os.Stat(string(hook.Home)); err != nil {
					return fmt.Errorf("%w: %w, or name the directory that it made for another user with --dir", err, reporter.ErrNoHome)
				}
				if hook.Program, err = os.Executable(); err != nil {
					return err
				}
				if hook.File, err = filepath.Abs(hook.File); err != nil {
					return err
				}
				if err := reporter.InstallHook(&hook); err != nil {
					return err
				}
				if *asJSON {
					return cli.JSON(env.Stdout, struct {
						Script  string `json:"script"`   // file
						NixConf string `json:"nix_conf"` // line to add
					}{hook.File, "post-build-hook = " + hook.File})
				}
				_, err = fmt.Fprintf(env.Stdout, "Add to nix.conf, and restart the daemon:\n  post-build-hook = %s\n", hook.File)
				return err
			}
		},
	}
}

func hookRemoveCommand() cli.Command {
	return cli.Command{
		Name:     "hook remove",
		Synopsis: "[--to FILE] [--json]",
		Summary:  "take back what 'hook install' did",
		About: `  Removes the script. While nix.conf ($NIX_CONF_DIR or /etc/nix, and the user's)
  names it, a script that does nothing is left in its place: without it each build
  would fail.

EXIT STATUS
  0   it is gone, or does nothing
  1   it could not be removed, or is no script of this program
  64  the command was called wrongly`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			file := flags.String("to", reporter.DefaultHookFile, "`file` of the script")
			asJSON := flags.Bool("json", false, "print one JSON object")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				return removeHook(env, *file, *asJSON)
			}
		},
	}
}

func removeHook(env *cli.Env, file string, asJSON bool) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	named, err := reporter.RemoveHook(file, nixConfigs())
	switch {
	case err != nil:
		return err
	case asJSON:
		err = cli.JSON(env.Stdout, struct {
			Script  string `json:"script"`             // file
			Removed bool   `json:"removed"`            // otherwise it does nothing
			NamedIn string `json:"named_in,omitempty"` // file with Nix's settings, which names it
		}{file, named == "", named})
	case named != "":
		_, err = fmt.Fprintf(env.Stdout, "%s does nothing from now on. Take post-build-hook out of %s, then delete it.\n", file, named)
	default:
		_, err = fmt.Fprintf(env.Stdout, "%s is not there any more.\n", file)
	}
	return err
}

// nixConfigs are the files that Nix reads its settings from.
func nixConfigs() []string {
	dir := os.Getenv("NIX_CONF_DIR")
	if dir == "" {
		dir = "/etc/nix"
	}
	configs := []string{filepath.Join(dir, "nix.conf")}
	if home, err := os.UserConfigDir(); err == nil {
		configs = append(configs, filepath.Join(home, "nix", "nix.conf"))
	}
	return configs
}

func uninstallCommand() cli.Command {
	return cli.Command{
		Name:     "uninstall",
		Synopsis: "[--yes] [--to FILE] [--dir DIRECTORY]",
		Summary:  "undo what init and 'hook install' did",
		About: `  Removes the hook (see 'hook remove') and the reporter's directory, with its key and
  what is not delivered yet. It asks before, and names what would be lost: 'run
  --once' delivers it first, and without the key nothing can be withdrawn later. A
  service or timer for 'run' is to be stopped before.

EXIT STATUS
  0   all of it is gone
  1   something could not be removed, or the answer was no
  64  the command was called wrongly, or nobody could be asked`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			file := flags.String("to", reporter.DefaultHookFile, "`file` of the hook's script")
			yes := flags.Bool("yes", false, "do not ask")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := dir()
				if err != nil {
					return err
				}
				return uninstall(env, home, *file, *yes)
			}
		},
	}
}

func uninstall(env *cli.Env, home reporter.Home, file string, yes bool) error {
	report, err := readReport(home)
	if err != nil {
		return err
	}
	if !yes {
		question := fmt.Sprintf("Delete %s, with the key of builder %s and %d records and %d signed statements that are not delivered?",
			home, report.Builder, report.Waiting+report.Retained, report.Outbox)
		switch agreed, err := cli.Ask(env, question); {
		case errors.Is(err, cli.ErrNoTerminal):
			return cli.Usagef("say --yes to delete %s without being asked", home)
		case err != nil:
			return err
		case !agreed:
			return errors.New("nothing was removed")
		}
	}
	if err := removeHook(env, file, false); err != nil {
		return err
	}
	if err := home.Remove(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is not there any more.\n", home)
	return err
}
