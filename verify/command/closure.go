package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"repronet.dev/internal/cli"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/policy"
)

func closureCommand() cli.Command {
	return cli.Command{
		Name: "closure", Synopsis: "PATH|FILE|- --policy FILE [--store STORE] [--json] [OPTIONS]",
		Summary: "check all that a system consists of",
		About: `  Extends the copy of the ledger, and judges every output of a closure by a
  policy (docs/policy.md). What the closure consists of is taken from

    PATH   a Nix store path or a link to one ("result", /run/current-system):
           Nix is asked for its closure, and which digests are installed
    FILE   a document, or - for standard input: the JSON of nix path-info -r, a
           CycloneDX SBOM (JSON) of sbomnix, bombon or genealogos, the JSON lines of
           nix-eval-jobs, or lines of an output key and, if known, its digest

  Where it is known what is installed, that must be what was reproduced. Paths
  that are named by their own content agree trivially and are listed apart, as are
  the sources in an SBOM. What cannot be read of a document is counted and takes
  nothing of the rest away, but then not everything is accepted.

  Prints what is refused or warned about, and a summary; with --json, every
  decision.

EXIT STATUS
  0   everything is accepted, with or without warnings
  1   something is refused: it diverged, or what is installed is not what was
      reproduced
  2   something is refused, all for want of evidence; also if it cannot be had, or
      if a part of the document could not be read
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off;
      or fewer of the pinned witnesses cosigned it than are asked for
  64  called wrongly

EXAMPLES
  repronet-verify closure /run/current-system --policy policy.yaml
  nix path-info -r --json ./result | repronet-verify closure - --policy policy.yaml
  repronet-verify closure sbom.cdx.json --policy policy.yaml --json`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var c closureRun
			c.declare(flags)
			flags.BoolVar(&c.json, "json", false, "print a JSON document")
			return withStatus(c.run)
		},
	}
}

// judging is how a closure is judged by a policy.
type judging struct {
	settings
	lists
	policy string
	maxAge time.Duration
}

func (j *judging) declare(flags *flag.FlagSet) {
	j.settings.declare(flags)
	flags.StringVar(&j.policy, "policy", "", "`file` of the policy")
	j.lists.declare(flags)
	declareMaxAge(flags, &j.maxAge)
}

// judge reads what an argument stands for, brings the copy of the ledger up to date, and judges
// every output.
func (j *judging) judge(ctx context.Context, env *cli.Env, argument string) (report *closure.Report, list *closure.List, err error) {
	if j.policy == "" {
		return nil, nil, cli.Usagef("want --policy FILE: what should be accepted? See docs/policy.md")
	}
	if err := j.check(); err != nil {
		return nil, nil, err
	}
	p, err := policy.Load(j.policy)
	if err != nil {
		return nil, nil, cli.Usagef("%w", err)
	}
	if list, err = j.read(ctx, env, argument); err != nil {
		return nil, nil, err
	}
	pins, mirror, err := j.open(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	if err := update(ctx, env, pins, mirror, j.maxAge); err != nil {
		return nil, nil, err
	}
	progress, done := progressLine(env.Stderr)
	report, err = closure.Check(ctx, mirror, pins, p, list, time.Now(), progress)
	done()
	return report, list, err
}

type closureRun struct {
	judging
	json bool
}

func (c *closureRun) run(ctx context.Context, env *cli.Env, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("want one PATH or FILE, got %d", len(args))
	}
	report, list, err := c.judge(ctx, env, args[0])
	if err != nil {
		return err
	}
	if c.json {
		err = cli.JSON(env.Stdout, newClosureResult(report, list))
	} else {
		err = printClosure(env.Stdout, report, list)
	}
	if err != nil {
		return err
	}
	switch contradicted, refused := report.Refused(); {
	case contradicted:
		return cli.Exit(exitDiverged)
	case refused > 0 || list.Skipped.Count > 0:
		return cli.Exit(exitInsufficient)
	}
	return nil
}

// closureResult is the JSON form.
type closureResult struct {
	Outputs []closureOutput `json:"outputs"`
	// Apart are paths that are named by their own content.
	Apart []string `json:"apart"`
	// Sources are what an SBOM lists as sources.
	Sources []string `json:"sources,omitempty"`
	// Unnamed is how many components of an SBOM name no output.
	Unnamed int `json:"unnamed,omitzero"`
	// Taken is how many lines, paths or components were read, and Skipped how many
	// could not be.
	Taken   int            `json:"taken"`
	Skipped pkgset.Skipped `json:"skipped"`
	// Failed is how many attributes nix-eval-jobs could not evaluate.
	Failed   int      `json:"failed,omitzero"`
	Searched searched `json:"searched"`
}

type closureOutput struct {
	verify.Output
	Installed string          `json:"installed,omitempty"` // digest of what is there
	Verdict   string          `json:"verdict"`
	Operators int             `json:"operators"`
	Decision  policy.Decision `json:"decision"`
}

func newClosureResult(r *closure.Report, list *closure.List) *closureResult {
	result := &closureResult{Apart: append([]string{}, list.Apart...), Sources: list.Sources, Unnamed: list.Unnamed, Taken: list.Taken, Skipped: list.Skipped, Failed: list.Failed, Searched: searched{r.Size, r.LatestEntry}}
	for _, o := range r.Results {
		out := closureOutput{Output: o.Output, Verdict: o.Verdict, Operators: o.Operators, Decision: o.Decision}
		if o.Digest != nil {
			out.Installed = o.Digest.String()
		}
		result.Outputs = append(result.Outputs, out)
	}
	return result
}

func printClosure(w io.Writer, r *closure.Report, list *closure.List) error {
	counts := map[policy.Action]int{}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, o := range r.Results {
		counts[o.Decision.Action]++
		if o.Decision.Action == policy.Accept {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", o.Decision.Action, o.Decision.Finding, o.Key, strings.Join(o.Decision.Reasons, "; "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d outputs: %d accepted, %d with a warning, %d refused\n", len(r.Results), counts[policy.Accept], counts[policy.Warn], counts[policy.Refuse])
	if n := len(list.Apart); n > 0 {
		fmt.Fprintf(w, "%d more paths are named by their own content, and were not judged\n", n)
	}
	if n := len(list.Sources); n > 0 {
		fmt.Fprintf(w, "%d more paths are sources, and were not judged\n", n)
	}
	if list.Unnamed > 0 {
		fmt.Fprintf(w, "%d components of the SBOM name no output, and were not judged\n", list.Unnamed)
	}
	printRead(w, "", list)
	fmt.Fprintf(w, "searched %d ledger entries, the last of %s\n", r.Size, r.LatestEntry.Format(time.RFC3339))
	return err
}
