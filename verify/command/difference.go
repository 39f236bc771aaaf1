package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/manifest"
	"repronet.dev/verify"
)

func differenceCommand() cli.Command {
	return cli.Command{
		Name: "difference", Synopsis: "KEY [--path PATH] [--ecosystem NAME] [--json]",
		Summary: "say in which files builds of an output differ",
		About: `  Fetches what pinned builders signed of the files in their builds of the output KEY,
  one list for each digest, checks the signatures, and compares the lists here. With
  --path, what is there is compared with each of them, too.

  "Equivalent after archive/v1" means that nothing differs but what this stabilizer says does
  not count, such as the order and times in an archive; the page /method of an aggregator
  lists them. Equivalent is not reproduced.

  A list is its builder's word, and no verdict depends on it. Where PATH has the digest
  that the builder signed, it shows whether the list is true.

EXIT STATUS
  0   the lists were compared
  1   a list is wrong: PATH has the digest that it is of, and other files
  2   there is nothing to compare: fewer than two lists, or one without --path
  64  called wrongly

EXAMPLES
  repronet-verify difference /nix/store/4i0k…-hello-2.12.1
  repronet-verify difference /nix/store/4i0k…-hello-2.12.1 --path ./result`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var d differenceOptions
			d.declare(flags)
			flags.StringVar(&d.path, "path", "", "the file or directory that you have, as a `path`")
			flags.StringVar(&d.ecosystem, "ecosystem", "", "`ecosystem` of the output (default nix or guix for their store paths, else generic)")
			flags.BoolVar(&d.json, "json", false, "print a JSON document")
			return withStatus(d.run)
		},
	}
}

type differenceOptions struct {
	settings
	path, ecosystem string
	json            bool
}

// differing is what the command prints.
type differing struct {
	Output string       `json:"output"`
	Lists  []listedBy   `json:"lists"`
	Pairs  []pairOf     `json:"pairs"`
	Wrong  []string     `json:"wrong"` // operators whose list is not that of the digest that they signed
	Left   []string     `json:"ignored"`
	all    []namedFiles // in the order of the lists
}

type listedBy struct {
	Operator string `json:"operator"` // "" of PATH
	Builder  string `json:"builder,omitempty"`
	Digest   string `json:"digest"`
	Files    int    `json:"files"`
}

type pairOf struct {
	First  string `json:"first"`
	Second string `json:"second"`
	*manifest.Difference
}

// namedFiles is a list of files, and what it is called.
type namedFiles struct {
	name string
	*manifest.Manifest
}

// mine is what PATH is called.
const mine = "yours"

func (d *differenceOptions) run(ctx context.Context, env *cli.Env, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("want one KEY, got %d", len(args))
	}
	key, in := args[0], d.ecosystem
	if in == "" {
		in = ecosystem.OfKey(key)
	}
	if err := errors.Join(attestation.ValidateEcosystem(in), attestation.ValidateOutput(in, key)); err != nil {
		return cli.Usagef("%w", err)
	}
	pins, _, err := d.pins()
	if err != nil {
		return err
	}
	var ignored []string
	found, err := firstOf(ctx, pins, func(aggregator *verify.Aggregator) (found []verify.PinnedManifest, err error) {
		found, ignored, err = aggregator.Manifests(ctx, pins, in, key)
		return found, err
	})
	if err != nil {
		return err
	}
	r := &differing{Output: key, Lists: []listedBy{}, Pairs: []pairOf{}, Wrong: []string{}, Left: append([]string{}, ignored...)}
	for _, m := range found {
		r.Lists = append(r.Lists, listedBy{m.Operator, string(m.Builder), m.Digest.String(), len(m.Entries)})
		r.all = append(r.all, namedFiles{m.Operator, m.Manifest})
	}
	if d.path != "" {
		if err := r.addPath(ctx, d.path, found); err != nil {
			return err
		}
	}
	r.compare()
	if d.json {
		err = cli.JSON(env.Stdout, r)
	} else {
		r.print(env.Stdout)
	}
	switch {
	case err != nil:
		return err
	case len(r.Wrong) > 0:
		return cli.Exit(exitDiverged)
	case len(r.all) < 2:
		return cli.Exit(exitInsufficient)
	}
	return nil
}

// addPath adds what is at a path, and finds the lists that are not true of it.
func (r *differing) addPath(ctx context.Context, path string, found []verify.PinnedManifest) error {
	m, err := manifest.Of(ctx, path)
	if err != nil {
		return err
	}
	digest := ""
	for _, other := range found {
		got, err := verify.HashPath(path, other.DigestKind)
		if err != nil {
			return err
		}
		digest = got.String()
		if got == other.Digest && manifest.Compare(other.Manifest, m).Differ > 0 {
			r.Wrong = append(r.Wrong, other.Operator)
		}
	}
	r.Lists = append(r.Lists, listedBy{Digest: digest, Files: len(m.Entries)})
	r.all = append(r.all, namedFiles{mine, m})
	return nil
}

// compare compares the first list with each other one, and PATH with each.
func (r *differing) compare() {
	for i := range r.all {
		for j := i + 1; j < len(r.all); j++ {
			if i == 0 || r.all[j].name == mine {
				r.Pairs = append(r.Pairs, pairOf{r.all[i].name, r.all[j].name, manifest.Compare(r.all[i].Manifest, r.all[j].Manifest)})
			}
		}
	}
}

// filesShown is how many files that differ are printed of a pair.
const filesShown = 40

func (r *differing) print(w io.Writer) {
	fmt.Fprintln(w, r.Output)
	for _, l := range r.Lists {
		who := l.Operator
		if who == "" {
			who = mine
		}
		fmt.Fprintf(w, "  %s  %s, %d files\n", l.Digest, who, l.Files)
	}
	for _, p := range r.Pairs {
		fmt.Fprintf(w, "%s and %s: %d of %d files differ%s\n", p.First, p.Second, p.Differ, p.Files, equivalent(p.Equivalent))
		for i, f := range p.Listed {
			if i == filesShown {
				break
			}
			fmt.Fprintf(w, "  %s: %s%s\n", f.Path, inWords(f.What, &p), sizes(&f))
		}
		if more := p.Differ - min(len(p.Listed), filesShown); more > 0 {
			fmt.Fprintf(w, "  and %d more; --json has %d of them\n", more, len(p.Listed))
		}
	}
	for _, operator := range r.Wrong {
		fmt.Fprintf(w, "WRONG: what is at your path has the digest that %s signed, and other files than %s listed\n", operator, operator)
	}
	for _, reason := range r.Left {
		fmt.Fprintf(w, "not believed: %s\n", reason)
	}
	if len(r.all) < 2 {
		fmt.Fprintln(w, "there is nothing to compare: builders list their files when an output diverges, and the aggregator asks them")
	}
}

func inWords(what manifest.Kind, p *pairOf) string {
	switch what {
	case manifest.OnlyFirst:
		return "only in that of " + p.First
	case manifest.OnlySecond:
		return "only in that of " + p.Second
	default:
		return string(what)
	}
}

func sizes(f *manifest.FileDifference) string {
	text := ""
	if f.Sizes != nil {
		text = fmt.Sprintf(", %d and %d bytes", f.Sizes[0], f.Sizes[1])
	}
	if f.Members != nil {
		text += fmt.Sprintf("; %s: %s", f.Members.Format, f.Members)
	}
	return text + equivalent(f.Equivalent)
}

// equivalent is after which stabilizers two things are equivalent, if they are.
func equivalent(by []string) string {
	if len(by) == 0 {
		return ""
	}
	return "; equivalent after " + strings.Join(by, ", ")
}
