// Package command is the command line of repronet-reporter: flags, calls of package
// reporter, and what is printed.
package command

import (
	"flag"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

// Program returns the program.
func Program() *cli.Program {
	return &cli.Program{
		Name:    "repronet-reporter",
		Summary: "report what this machine's builds produced",
		Prefix:  "REPRONET_REPORTER_", Variables: []string{"REPRONET_REPORTER_DIR"},
		About: `DESCRIPTION
  Records the hashes of what is built on this machine, signs them, and submits
  them to an aggregator, which compares them with what others got.

  'init' prepares a directory with a key, and 'enrol' asks the aggregator to
  accept what it signs. 'hook nix', 'attest', 'collect' and 'exec' record
  builds there; they never use the network. 'rebuild' makes builds again, to compare
  them. 'run' submits what was recorded and
  keeps each record until a receipt proves that the aggregator's log has it.

FILES
  The directory is --dir, or else the environment's REPRONET_REPORTER_DIR, or
  else /var/lib/repronet-reporter for root and
  $XDG_STATE_HOME/repronet-reporter (~/.local/state/…) for everybody else:
    config.json   what init was told
    key.pem       the builder's private key
    builder.pub   its public key
    log.key       the aggregator's log key, pinned on first contact
    spool/        records and statements on their way
  ` + reporter.DefaultHookFile + ` is where 'hook install' puts Nix's post-build-hook.`,
		Commands: []cli.Command{
			initCommand(), enrolCommand(), hookCommand(), hookInstallCommand(), hookRemoveCommand(), attestCommand(), collectArch(), collectDebian(), execCommand(), rebuildCommand(), runCommand(), statusCommand(), doctorCommand(), withdrawCommand(), requeueCommand(), rotateCommand(), uninstallCommand(), relayGuixSigs(), relayGitian(), relayNarinfo(),
		},
	}
}

// exitTryLater is sysexits.h's EX_TEMPFAIL.
const exitTryLater = 75

// dirFlag declares --dir; the function returned gives the directory.
// One that belongs to another user is refused.
func dirFlag(flags *flag.FlagSet) func() (reporter.Home, error) {
	dir := anyDirFlag(flags)
	return func() (reporter.Home, error) {
		home, err := dir()
		if err == nil {
			err = home.CheckOwner()
		}
		return home, err
	}
}

// anyDirFlag is [dirFlag] for what does not work in the directory, or becomes its
// owner first.
func anyDirFlag(flags *flag.FlagSet) func() (reporter.Home, error) {
	dir := flags.String("dir", "", "the reporter's `directory` (see 'repronet-reporter help')")
	return func() (reporter.Home, error) {
		if *dir != "" {
			return reporter.Home(*dir), nil
		}
		return reporter.DefaultHome()
	}
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q", args[0])
	}
	return nil
}
