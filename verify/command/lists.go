package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
)

// lists are the options by which lists of outputs are read.
type lists struct{ store, ecosystem string }

func (l *lists) declare(flags *flag.FlagSet) {
	flags.StringVar(&l.store, "store", "", "Nix `store` to ask about PATH (default Nix's own default)")
	flags.StringVar(&l.ecosystem, "ecosystem", "", "`ecosystem` of keys in lines (default nix or guix for their store paths, else generic)")
}

func (l *lists) check() error {
	if l.ecosystem == "" {
		return nil
	}
	if err := attestation.ValidateEcosystem(l.ecosystem); err != nil {
		return cli.Usagef("--ecosystem: %w", err)
	}
	return nil
}

// read reads what an argument stands for: - is standard input, a store path is one whose
// closure Nix is asked for, everything else a document.
func (l *lists) read(ctx context.Context, env *cli.Env, argument string) (*closure.List, error) {
	if argument == "-" {
		return closure.Parse(env.Stdin, l.ecosystem)
	}
	path, err := verify.ResolvePath(argument)
	if err != nil {
		return nil, err
	}
	if ecosystem.OfKey(path) == ecosystem.Nix {
		return closure.Nix(ctx, path, l.store)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	list, err := closure.Parse(f, l.ecosystem)
	return list, errors.Join(err, f.Close())
}

// A setArgument names a revision of a package set, as SET@REVISION does; SET@ is its newest.
type setArgument struct{ name, revision string }

// parseSet reads SET@REVISION.
func parseSet(argument string) (s setArgument, ok bool) {
	s.name, s.revision, ok = strings.Cut(argument, "@")
	return s, ok && pkgset.ValidateName(s.name) == nil
}

// setOrFile is parseSet where a file may be meant, which is whenever there is one.
func setOrFile(argument string) (setArgument, bool) {
	if _, err := os.Lstat(argument); err == nil {
		return setArgument{}, false
	}
	return parseSet(argument)
}

// printRead says what was read of a list, and of which; name is "" for the only one.
func printRead(w io.Writer, name string, list *closure.List) {
	if name != "" {
		name += ": "
	}
	fmt.Fprintf(w, "%sread %d %ss of the list\n", name, list.Taken, list.Of)
	if list.Failed > 0 {
		fmt.Fprintf(w, "%sattributes that could not be evaluated, and are not in it: %d\n", name, list.Failed)
	}
	if list.Skipped.Count > 0 {
		fmt.Fprintf(w, "%s%s\n", name, list.Skipped.Say(list.Of))
	}
}
