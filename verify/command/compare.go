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

	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/compare"
	"repronet.dev/verify/policy"
)

func compareCommand() cli.Command {
	return cli.Command{
		Name: "compare", Synopsis: "BASE HEAD --policy FILE [--decided] [--json | --markdown] [OPTIONS]",
		Summary: "say what a change does to reproducibility",
		About: `  Extends the copy of the ledger, judges every output of BASE and of HEAD by a policy
  (docs/policy.md), and says what became of it. BASE and HEAD are, each on its own,

    PATH      a Nix store path or a link to one: its closure
    FILE      a document, or - for standard input: all that 'closure' reads, which the
              JSON lines of nix-eval-jobs belong to
    SET@REV   a revision of a package set that is published in the ledger; SET@ is
              its newest

  Outputs are matched by attribute, system and output where both say them, else by
  name without the version: store paths differ from one revision to the next. What
  is in both lists is matched with itself.

    regressed       reproduced in BASE, diverged in HEAD
    fixed           diverged in BASE, reproduced in HEAD
    new, removed    in HEAD only, in BASE only
    still diverged  diverged in both
    not built       in both; for HEAD there is not enough evidence yet
    uncompared      in both; for BASE there was not enough evidence
    unchanged       reproduced in both

  What was diverged before is no regression, nor is what too few had built to compare.
  How long ago the outputs of BASE were attested is not asked (maxAge).

  Prints what regressed, was fixed, or is new and diverged, and counts, each with the
  number that it is a part of; with --json, everything. --markdown prints a comment for
  a pull request, of at most 60 kB, in which no name acts as markup.

EXIT STATUS
  0   nothing regressed
  1   something regressed
  2   with --decided: nothing regressed, and there is not enough evidence on all that is
      new or changed; also if evidence cannot be had, or if a part of a document could
      not be read
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off;
      or fewer of the pinned witnesses cosigned it than are asked for
  4   undecided: the ledger has entries that only a newer version of this program can
      read
  64  called wrongly

EXAMPLES
  repronet-verify compare nixos-unstable@5b35d24 nixos-unstable@ --policy policy.yaml
  repronet-verify compare base.jsonl head.jsonl --policy policy.yaml --markdown
  repronet-verify compare /run/current-system ./result --policy policy.yaml`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var c compareRun
			c.settings.declare(flags)
			c.lists.declare(flags)
			flags.StringVar(&c.policy, "policy", "", "`file` of the policy")
			declareMaxAge(flags, &c.maxAge)
			flags.BoolVar(&c.decided, "decided", false, "ask for enough evidence on all that is new or changed")
			flags.BoolVar(&c.json, "json", false, "print a JSON document")
			flags.BoolVar(&c.markdown, "markdown", false, "print Markdown, for a comment")
			return withStatus(c.run)
		},
	}
}

type compareRun struct {
	settings
	lists
	policy                  string
	maxAge                  time.Duration
	decided, json, markdown bool
}

func (c *compareRun) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) != 2:
		return cli.Usagef("want BASE and HEAD, got %d arguments", len(args))
	case args[0] == "-" && args[1] == "-":
		return cli.Usagef("standard input can be BASE or HEAD, not both")
	case c.policy == "":
		return cli.Usagef("want --policy FILE: what counts as reproduced? See docs/policy.md")
	case c.json && c.markdown:
		return cli.Usagef("--json and --markdown exclude each other")
	}
	if err := c.check(); err != nil {
		return err
	}
	p, err := policy.Load(c.policy)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	base, head := &side{name: "BASE", argument: args[0]}, &side{name: "HEAD", argument: args[1]}
	for _, s := range []*side{base, head} {
		if err := s.read(ctx, env, &c.lists); err != nil {
			return err
		}
	}
	pins, mirror, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	if err := update(ctx, env, pins, mirror, c.maxAge); err != nil {
		return err
	}
	if err := checkSides(ctx, env, pins, mirror, p, base, head); err != nil {
		return err
	}
	r := newCompareResult(compare.Reports(p, base.report, head.report), base, head)
	switch {
	case c.json:
		err = cli.JSON(env.Stdout, r)
	case c.markdown:
		_, err = io.WriteString(env.Stdout, r.markdown())
	default:
		err = r.print(env.Stdout, base, head)
	}
	if err != nil {
		return err
	}
	switch {
	case r.Counts.Compared.Regressed > 0:
		return cli.Exit(exitDiverged)
	case base.list.Skipped.Count+head.list.Skipped.Count > 0, c.decided && !r.Counts.Decided():
		return cli.Exit(exitInsufficient)
	}
	return nil
}

// A side is one of two lists that are compared.
type side struct {
	name, argument string // name is what messages call it
	noFile         bool   // a file could have been meant, and there is none
	list           *closure.List
	set            *verify.SetRevision // nil if it is none
	report         *closure.Report
}

// read reads the list unless it is a revision of a package set, which the ledger has.
func (s *side) read(ctx context.Context, env *cli.Env, l *lists) (err error) {
	if _, s.noFile = setOrFile(s.argument); s.noFile {
		return nil
	}
	if s.list, err = l.read(ctx, env, s.argument); err == nil {
		err = s.list.Usable()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// load reads the package set that the side is.
func (s *side) load(ctx context.Context, pins *verify.Pins, mirror *verify.Mirror) (err error) {
	if s.list != nil {
		return nil
	}
	of, _ := parseSet(s.argument)
	if s.set, err = pins.SetRevision(ctx, mirror, of.name, of.revision); err == nil {
		s.list, err = closure.OfSet(s.set)
	}
	if err == nil {
		err = s.list.Usable()
	}
	switch {
	case err == nil:
		return nil
	case s.noFile:
		return fmt.Errorf("%s: %s is no file, and taken for a package set at a revision: %w", s.name, s.argument, err)
	default:
		return fmt.Errorf("%s: %w", s.name, err)
	}
}

// checkSides judges both sides, of which the first is what was.
func checkSides(ctx context.Context, env *cli.Env, pins *verify.Pins, mirror *verify.Mirror, p *policy.Policy, base, head *side) error {
	for _, s := range []*side{base, head} {
		if err := s.load(ctx, pins, mirror); err != nil {
			return err
		}
	}
	base.list.Past = true
	progress, done := progressLine(env.Stderr)
	reports, err := closure.CheckAll(ctx, mirror, pins, p, []*closure.List{base.list, head.list}, time.Now(), progress)
	done()
	if err != nil {
		return err
	}
	base.report, head.report = reports[0], reports[1]
	return nil
}

// compareResult is the JSON form.
type compareResult struct {
	Base listRead `json:"base"`
	Head listRead `json:"head"`
	// Counts are of outputs.
	Counts   compare.Counts  `json:"counts"`
	Changes  []comparedEntry `json:"changes"`
	Searched searched        `json:"searched"`
}

// listRead says what a side is and what was read of it.
type listRead struct {
	From string        `json:"from"` // as the user named it
	Set  *publishedSet `json:"set,omitempty"`
	// Apart is how many are named by their own content, or sources: they are not compared.
	Apart   int            `json:"apart"`
	Taken   int            `json:"taken"`
	Skipped pkgset.Skipped `json:"skipped"`
	Failed  int            `json:"failed,omitzero"`
}

// publishedSet is the ledger entry that says what a side consists of.
type publishedSet struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Index    uint64 `json:"index"`
}

func newListRead(s *side) listRead {
	r := listRead{From: s.argument, Apart: len(s.list.Apart) + len(s.list.Sources), Taken: s.list.Taken, Skipped: s.list.Skipped, Failed: s.list.Failed}
	if s.set != nil {
		r.Set = &publishedSet{s.set.Name, s.set.Revision, s.set.Index}
	}
	return r
}

// comparedEntry is what became of one output.
type comparedEntry struct {
	Class  compare.Class `json:"class"`
	Name   string        `json:"name"`
	System string        `json:"system,omitempty"`
	Base   *judgedOutput `json:"base,omitempty"`
	Head   *judgedOutput `json:"head,omitempty"`
}

// judgedOutput is an output on one side.
type judgedOutput struct {
	verify.Output
	Version   string          `json:"version,omitempty"` // by the output's name
	State     compare.State   `json:"state"`
	Verdict   string          `json:"verdict"`
	Operators int             `json:"operators"`
	Decision  policy.Decision `json:"decision"`
}

func newJudged(r *closure.Result) *judgedOutput {
	_, version := ecosystem.Of(r.Ecosystem).Place(r.Key)
	return &judgedOutput{r.Output, version, compare.StateOf(r.Decision), r.Verdict, r.Operators, r.Decision}
}

func newCompareResult(c *compare.Comparison, base, head *side) *compareResult {
	r := &compareResult{
		Base: newListRead(base), Head: newListRead(head), Counts: c.Counts, Changes: make([]comparedEntry, len(c.Changes)),
		Searched: searched{head.report.Size, head.report.LatestEntry},
	}
	for i := range c.Changes {
		r.Changes[i] = newCompared(&c.Changes[i], base, head)
	}
	return r
}

func newCompared(change *compare.Change, base, head *side) comparedEntry {
	e := comparedEntry{Class: change.Class, Name: change.Name, System: change.System}
	if change.Base >= 0 {
		e.Base = newJudged(&base.report.Results[change.Base])
	}
	if change.Head >= 0 {
		e.Head = newJudged(&head.report.Results[change.Head])
	}
	return e
}

// told reports whether an output is named where not all are: it is worse or better than it
// was, or comes in diverged. The rest is noise to who reads of a change.
func (e *comparedEntry) told() bool {
	switch e.Class {
	case compare.Regressed, compare.Fixed:
		return true
	case compare.New:
		return e.Head.State == compare.Diverged
	default:
		return false
	}
}

// title is the class for people.
func (e *comparedEntry) title() string {
	if e.Class == compare.New {
		return fmt.Sprintf("new, %s", e.Head.State)
	}
	return e.Class.String()
}

// versions says from which version to which, as far as the names tell.
func (e *comparedEntry) versions() string {
	var parts []string
	for _, o := range []*judgedOutput{e.Base, e.Head} {
		if o != nil && o.Version != "" && (len(parts) == 0 || parts[0] != o.Version) {
			parts = append(parts, o.Version)
		}
	}
	return strings.Join(parts, " → ")
}

func (r *compareResult) print(w io.Writer, base, head *side) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i := range r.Changes {
		if e := &r.Changes[i]; e.told() {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.title(), e.Name, e.versions(), e.Head.Key, strings.Join(e.Head.Decision.Reasons, "; "))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range r.sentences() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	printRead(w, base.name, base.list)
	printRead(w, head.name, head.list)
	_, err := fmt.Fprintf(w, "searched %d ledger entries, the last of %s\n", r.Searched.Entries, r.Searched.Latest.Format(time.RFC3339))
	return err
}

// sentences say the counts, each with what it is a part of.
func (r *compareResult) sentences() []string {
	c := &r.Counts
	lines := []string{
		fmt.Sprintf("%d outputs compared: %d regressed, %d fixed, %d still diverged, %d unchanged",
			c.Compared.Outputs, c.Compared.Regressed, c.Compared.Fixed, c.Compared.StillDiverged, c.Compared.Unchanged),
		fmt.Sprintf("%d outputs in both, of which %d changed: %d compared, %d not built in HEAD, %d uncompared for want of evidence in BASE",
			c.Both.Outputs, c.Both.Changed, c.Compared.Outputs, c.Both.NotBuilt, c.Both.Uncompared),
		fmt.Sprintf("%d outputs in HEAD: %d in both, %d new (%d reproduced, %d diverged, %d not built)",
			c.Head, c.Both.Outputs, c.New.Outputs, c.New.Reproduced, c.New.Diverged, c.New.NotBuilt),
		fmt.Sprintf("%d outputs in BASE: %d removed", c.Base, c.Removed),
	}
	if !c.Decided() {
		lines = append(lines, fmt.Sprintf("%d of %d outputs that are new or changed wait for evidence", c.Both.WaitedFor+c.New.NotBuilt, c.Both.Changed+c.New.Outputs))
	}
	return lines
}
