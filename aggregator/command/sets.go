package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/pkgset"
)

func publishSet() cli.Command {
	return cli.Command{
		Name: "sets publish", Synopsis: "NAME --revision R --from FILE [OPTIONS]", Summary: "publish a package set",
		About: `  Writes a package set to the ledger: the outputs of a channel, an image's
  closure, a release at a revision. Reporters attest only outputs of the sets
  that their volunteers chose, and the dashboard counts by sets.

  FILE holds output keys, one a line (for Nix store paths, as
  'nix path-info -r' prints them, with or without --json), or the JSON lines of
  nix-eval-jobs, from which attribute, version and system are taken, input edges if
  it was given --show-input-drvs, and maintainers with --meta; - reads standard
  input. What became of its lines is printed: those that cannot be read are left out,
  counted, and the first is shown.

  The same name again, with another revision, replaces the set. A set that would
  shrink to less than half is asked about (--yes), because most often the list is
  not complete. A revision that was published with another content is refused:
  --replace writes a new entry for it, and 'sets list --all' shows that it replaces
  the older one. The same revision with the same content writes nothing.

EXAMPLES
  nix-eval-jobs --show-input-drvs --meta release.nix |
    repronet-aggregator sets publish nixos-unstable --revision 5b35d24 --from -`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			var p publisher
			flags.StringVar(&p.set.Revision, "revision", "", "`revision`, as the set's publisher calls it")
			from := flags.String("from", "", "`file` to read, or - for standard input")
			flags.StringVar(&p.set.Ecosystem, "ecosystem", ecosystem.Nix, "`ecosystem` of the outputs")
			flags.BoolVar(&p.set.Replace, "replace", false, "give a revision that was published another content")
			flags.BoolVar(&p.set.Shrink, "yes", false, "let the set shrink without asking")
			p.out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) (err error) {
				if len(args) != 1 || p.set.Revision == "" || *from == "" {
					return cli.Usagef("want one NAME, --revision R and --from FILE")
				}
				p.set.Name = args[0]
				list, err := openList(env, *from)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, list.Close()) }()
				return s.administer(ctx, env, func(to admin.Caller) error { return p.publish(ctx, env, to, list) })
			}
		},
	}
}

// openList opens the list of a set. What standard input has is kept in a file: the list is
// sent again where the operator is asked something first.
func openList(env *cli.Env, from string) (*os.File, error) {
	if from != "-" {
		list, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("reading the set: %w", err)
		}
		return list, nil
	}
	list, err := os.CreateTemp("", "repronet-set-")
	if err != nil {
		return nil, fmt.Errorf("reading the set: %w", err)
	}
	err = os.Remove(list.Name()) // it lives until it is closed
	if err == nil {
		_, err = io.Copy(list, env.Stdin)
	}
	if err == nil {
		_, err = list.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the set: %w", err), list.Close())
	}
	return list, nil
}

// A publisher publishes one set.
type publisher struct {
	set admin.Set
	out output
}

func (p *publisher) publish(ctx context.Context, env *cli.Env, to admin.Caller, list *os.File) error {
	published, err := admin.PublishSet.DoWith(ctx, to, p.set, admin.Streams{Input: list})
	if errors.Is(err, admin.Shrinks) {
		if err := confirm(env, false, err.Error()+" Publish it?", "Nothing was published"); err != nil {
			return err
		}
		if _, err := list.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading the set again: %w", err)
		}
		p.set.Shrink = true
		published, err = admin.PublishSet.DoWith(ctx, to, p.set, admin.Streams{Input: list})
	}
	if err != nil {
		return err
	}
	return showPublished(env, &p.out, published)
}

func showPublished(env *cli.Env, out *output, p admin.Published) error {
	return out.print(env, p, func(w io.Writer) error {
		verb := "published"
		if p.Known {
			verb = "nothing to do: the ledger has"
		}
		fmt.Fprintf(w, "%s %s at revision %s: %s, ledger index %d\n", verb, p.Name, p.Revision, plural(p.Outputs, "output"), p.Index)
		if p.Replaces != nil {
			fmt.Fprintf(w, "it replaces the content that the revision had at ledger index %d\n", *p.Replaces)
		}
		if p.Lines > 0 {
			fmt.Fprintf(w, "of %s %d name outputs", plural(p.Lines, "line"), p.Taken)
			if p.Passed > 0 {
				fmt.Fprintf(w, ", %d are empty or comments", p.Passed)
			}
			if p.Failed > 0 {
				fmt.Fprintf(w, ", %d are attributes that could not be evaluated and are not in it", p.Failed)
			}
			fmt.Fprintln(w)
		}
		if p.Skipped.Count > 0 {
			fmt.Fprintf(w, "%s\n", p.Skipped.Say("line"))
		}
		for _, lacks := range p.Lacks {
			fmt.Fprintf(w, "the list has no %s\n", lacks)
		}
		if p.Fixed > 0 {
			fmt.Fprintf(w, "%s more are not counted: their recipes fix their hashes\n", plural(p.Fixed, "output"))
		}
		return nil
	})
}

func listSets() cli.Command {
	return cli.Command{
		Name: "sets list", Synopsis: "[NAME] [--all] [OPTIONS]", Summary: "list the package sets",
		About: `  Lists the package sets with their newest revisions, by name; with --all every
  revision that was published, in ledger order. A set with no outputs is retired.

EXAMPLES
  repronet-aggregator sets list
  repronet-aggregator sets list nixos-unstable --all --json`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			all := flags.Bool("all", false, "list earlier revisions, too")
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 1 {
					return cli.Usagef("want one NAME at most")
				}
				return s.administer(ctx, env, func(to admin.Caller) error {
					sets, err := admin.ListSets.Do(ctx, to, admin.None{})
					if err != nil {
						return err
					}
					found := false
					sets = slices.DeleteFunc(sets, func(r admin.SetRevision) bool {
						other := len(args) == 1 && r.Name != args[0]
						found = found || !other
						return other || !r.Current && !*all
					})
					if len(args) == 1 && !found {
						return fmt.Errorf("no package set %q was published", args[0])
					}
					if !*all {
						slices.SortFunc(sets, func(a, b admin.SetRevision) int { return cmp.Compare(a.Name, b.Name) })
					}
					return out.table(env, sets, []string{"SET", "REVISION", "OUTPUTS", "ECOSYSTEM", "PUBLISHED", "INDEX", ""}, setRows(sets))
				})
			}
		},
	}
}

func setRows(sets []admin.SetRevision) [][]string {
	rows := make([][]string, len(sets))
	for i, r := range sets {
		var notes []string
		if r.Replaces != nil {
			notes = append(notes, fmt.Sprintf("replaces index %d", *r.Replaces))
		}
		if r.Outputs == 0 {
			notes = append(notes, "retired")
		}
		rows[i] = []string{
			r.Name, r.Revision, fmt.Sprint(r.Outputs), r.Ecosystem, r.Published.UTC().Format(time.RFC3339), fmt.Sprint(r.Index), strings.Join(notes, ", "),
		}
	}
	return rows
}

func showSet() cli.Command {
	return cli.Command{
		Name: "sets show", Synopsis: "NAME [--revision R] [OPTIONS]", Summary: "print the outputs of a package set",
		About: `  Prints the keys of a set's outputs, one a line, as 'sets publish' reads them; what
  revision they are of goes to standard error. --json has all that is known of each.`,
		Prepare: administrative[admin.SetName, admin.SetContents]{
			call: admin.ShowSet,
			ask: func(flags *flag.FlagSet) func([]string) (admin.SetName, error) {
				revision := flags.String("revision", "", "`revision` to print; the newest if empty")
				return func(args []string) (admin.SetName, error) {
					if len(args) != 1 {
						return admin.SetName{}, cli.Usagef("want one NAME")
					}
					return admin.SetName{Name: args[0], Revision: *revision}, nil
				}
			},
			show: func(env *cli.Env, out *output, c admin.SetContents) error {
				if !out.json {
					fmt.Fprintf(env.Stderr, "%s at revision %s, published %s at ledger index %d: %s\n",
						c.Name, c.Revision, c.Published.UTC().Format(time.RFC3339), c.Index, plural(c.Outputs, "output"))
				}
				return out.print(env, c, func(w io.Writer) error { return printKeys(w, "", c.Members) })
			},
		}.prepare,
	}
}

func printKeys(w io.Writer, mark string, members []pkgset.Member) error {
	buffered := bufio.NewWriter(w)
	for i := range members {
		fmt.Fprintf(buffered, "%s%s\n", mark, members[i].Key)
	}
	return buffered.Flush()
}

func diffSets() cli.Command {
	return cli.Command{
		Name: "sets diff", Synopsis: "NAME [--from R] [--to R] [OPTIONS]", Summary: "compare two revisions of a package set",
		About: `  Prints the outputs that only one of two revisions has: with - those that are gone,
  with + those that are new. By default the newest revision is compared with the one
  before it.`,
		Prepare: administrative[admin.SetPair, admin.SetDifference]{
			call: admin.DiffSets,
			ask: func(flags *flag.FlagSet) func([]string) (admin.SetPair, error) {
				from := flags.String("from", "", "older `revision`; the one before the other if empty")
				to := flags.String("to", "", "newer `revision`; the newest if empty")
				return func(args []string) (admin.SetPair, error) {
					if len(args) != 1 {
						return admin.SetPair{}, cli.Usagef("want one NAME")
					}
					return admin.SetPair{Name: args[0], From: *from, To: *to}, nil
				}
			},
			show: func(env *cli.Env, out *output, d admin.SetDifference) error {
				if !out.json {
					fmt.Fprintf(env.Stderr, "%s from revision %s (index %d) to %s (index %d): %d gone, %d new, %d kept\n",
						d.To.Name, d.From.Revision, d.From.Index, d.To.Revision, d.To.Index, len(d.Removed), len(d.Added), d.Kept)
				}
				return out.print(env, d, func(w io.Writer) error {
					return errors.Join(printKeys(w, "- ", d.Removed), printKeys(w, "+ ", d.Added))
				})
			},
		}.prepare,
	}
}

func retireSet() cli.Command {
	return cli.Command{
		Name: "sets retire", Synopsis: "NAME [--revision R] [--yes] [OPTIONS]", Summary: "take a package set out of use",
		About: `  Writes a revision without outputs to the ledger: from then on the set has none,
  counts nothing, and reporters attest nothing for it. What was published and
  attested stays. Publishing the set again ends the retirement.`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			revision := flags.String("revision", "retired", "what the empty `revision` is called")
			yes := flags.Bool("yes", false, "retire without asking")
			var out output
			out.declare(flags)
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) != 1 || *revision == "" {
					return cli.Usagef("want one NAME")
				}
				if err := confirm(env, *yes, fmt.Sprintf("Reporters that chose %s will attest nothing for it. Retire it?", args[0]), "Nothing was retired"); err != nil {
					return err
				}
				return s.administer(ctx, env, func(to admin.Caller) error {
					published, err := admin.RetireSet.Do(ctx, to, admin.Retirement{Name: args[0], Revision: *revision})
					if err != nil {
						return err
					}
					if published.Known {
						return out.say(env, published, "nothing to do: %s has no outputs since ledger index %d", published.Name, published.Index)
					}
					return out.say(env, published, "retired %s at ledger index %d; it had %s", published.Name, published.Index, plural(published.Before, "output"))
				})
			}
		},
	}
}

func reindex() cli.Command {
	return cli.Command{
		Name: "reindex", Synopsis: "[OPTIONS]", Summary: "rebuild the index from the ledger",
		About: `  Computes every verdict and count anew from the ledger, beside the index that
  is in use, and swaps the new one in. A running server goes on serving.`,
		Prepare: administrative[admin.None, admin.Reindexed]{
			call: admin.Reindex, ask: nothing,
			show: func(env *cli.Env, out *output, r admin.Reindexed) error {
				return out.say(env, r, "the new index is in use: it was made from %d ledger entries", r.Entries)
			},
		}.prepare,
	}
}
