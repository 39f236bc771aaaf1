package command

import (
	"context"
	"flag"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter/collect/arch"
	"repronet.dev/reporter/collect/debian"
	"repronet.dev/reporter/spool"
)

func collectArch() cli.Command {
	return cli.Command{
		Name:     "collect arch",
		Synopsis: "[--rebuild] [--json] [--dir DIRECTORY] FILE …",
		Summary:  "record Arch packages that makepkg has made",
		About: `  Hashes packages (.pkg.tar.zst, .pkg.tar.xz) that this machine has built and records
  them in the spool, each as an output of the build that the .BUILDINFO file in it
  names; 'run' submits them. A package has to have its own name.

EXIT STATUS
  0   recorded
  1   a file could not be read, or is no package; nothing was recorded
  64  the command was called wrongly

EXAMPLES
  makepkg && repronet-reporter collect arch ./hello-2.12.1-1-x86_64.pkg.tar.zst`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			return collecting(flags, "the package is missing", func(_ *cli.Env, file string, occasion attestation.Occasion) ([]*spool.Record, error) {
				record, err := arch.Read(file, occasion)
				return []*spool.Record{record}, err
			})
		},
	}
}

func collectDebian() cli.Command {
	return cli.Command{
		Name:     "collect debian",
		Synopsis: "[--rebuild] [--json] [--dir DIRECTORY] FILE …",
		Summary:  "record what a .buildinfo or .changes file says of a build",
		About: `  Reads what dpkg-buildpackage, sbuild or debrebuild wrote about a build of this
  machine, compares it with the binary packages beside it, and records their digests
  in the spool; 'run' submits them. A FILE is a .buildinfo file, or a .changes file that
  names one.

  Each package counts under its own architecture: hello_2.10-3_amd64.deb is an output
  of hello@2.10-3/amd64, hello-doc_2.10-3_all.deb one of hello@2.10-3/all. Sources
  are no outputs, and left out.

EXIT STATUS
  0   recorded
  1   a file could not be read, is malformed, or is not what is said of it; nothing was
      recorded
  64  the command was called wrongly

EXAMPLES
  dpkg-buildpackage -us -uc -b && repronet-reporter collect debian ../hello_2.10-3_amd64.changes`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			return collecting(flags, "the .buildinfo or .changes file is missing", func(env *cli.Env, file string, occasion attestation.Occasion) ([]*spool.Record, error) {
				found, err := debian.Read(file, occasion)
				if err != nil {
					return nil, err
				}
				for _, left := range found.Left {
					fmt.Fprintf(env.Stderr, "%s is no binary package, and left out\n", left)
				}
				return found.Records, nil
			})
		},
	}
}

// collecting declares the flags of a command that records what files say of builds, and
// returns it. Of several files all are read before anything is recorded.
func collecting(flags *flag.FlagSet, missing string, read func(env *cli.Env, file string, occasion attestation.Occasion) ([]*spool.Record, error)) func(context.Context, *cli.Env, []string) error {
	dir := dirFlag(flags)
	rebuild := flags.Bool("rebuild", false, "the build was made on purpose to compare")
	asJSON := flags.Bool("json", false, "print one JSON array of what was recorded")
	return func(_ context.Context, env *cli.Env, args []string) error {
		if len(args) == 0 {
			return cli.Usagef("%s", missing)
		}
		home, err := dir()
		if err != nil {
			return err
		}
		if _, err := home.Config(); err != nil {
			return err
		}
		occasion := attestation.OccasionBuild
		if *rebuild {
			occasion = attestation.OccasionRebuild
		}
		var records []*spool.Record
		for _, file := range args {
			found, err := read(env, file, occasion)
			if err != nil {
				return err
			}
			records = append(records, found...)
		}
		return put(home, records, func(outputs []spool.Output) error { return printOutputs(env, outputs, *asJSON) })
	}
}
