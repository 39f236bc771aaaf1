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
	"repronet.dev/verify"
	"repronet.dev/verify/compare"
	"repronet.dev/verify/policy"
)

func promoteCommand() cli.Command {
	return cli.Command{
		Name: "promote", Synopsis: "--from SET@REV --to SET@REV --policy FILE [--json] [OPTIONS]",
		Summary: "say what keeps a revision from being released",
		About: `  Extends the copy of the ledger, and says what keeps the package set of --to from
  taking the place of that of --from under a policy (docs/policy.md). Both are
  revisions that are published in the ledger, of one set or of two (testing and
  stable); SET@ is a set's newest. Outputs are matched as 'compare' does.

  An output blocks if the policy refuses it and it makes the set worse: it is new, or
  the policy accepted what was in its place. What was refused before does not block,
  nor does an output that both revisions have. How long ago the outputs of --from were
  attested is not asked (maxAge).

  Prints what blocks, and what only waits for evidence, with the ledger entries that
  say so; what the policy warns about; and counts. All of it follows from the ledger:
  whoever runs this with the same pins and policy at the same entry gets the same.

EXIT STATUS
  0   nothing blocks, with or without warnings
  1   something blocks that diverged
  2   something blocks, all for want of evidence; also if it cannot be had
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off;
      or fewer of the pinned witnesses cosigned it than are asked for
  4   undecided: the ledger has entries that only a newer version of this program can
      read
  64  called wrongly

EXAMPLES
  repronet-verify promote --from stable@ --to testing@5b35d24 --policy policy.yaml
  repronet-verify promote --from stable@ --to testing@ --policy policy.yaml --json`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var p promoteRun
			p.declare(flags)
			flags.StringVar(&p.from, "from", "", "`set@revision` that is released")
			flags.StringVar(&p.to, "to", "", "`set@revision` that is to be")
			flags.StringVar(&p.policy, "policy", "", "`file` of the policy")
			declareMaxAge(flags, &p.maxAge)
			flags.BoolVar(&p.json, "json", false, "print a JSON document")
			return withStatus(p.run)
		},
	}
}

type promoteRun struct {
	settings
	from, to, policy string
	maxAge           time.Duration
	json             bool
}

func (r *promoteRun) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case r.policy == "":
		return cli.Usagef("want --policy FILE: what may be released? See docs/policy.md")
	}
	for _, option := range []struct{ name, value string }{{"--from", r.from}, {"--to", r.to}} {
		if _, ok := parseSet(option.value); !ok {
			return cli.Usagef("%s %.100q is no package set at a revision, such as stable@5b35d24", option.name, option.value)
		}
	}
	p, err := policy.Load(r.policy)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	pins, mirror, err := r.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	if err := update(ctx, env, pins, mirror, r.maxAge); err != nil {
		return err
	}
	from, to := &side{name: "--from", argument: r.from}, &side{name: "--to", argument: r.to}
	if err := checkSides(ctx, env, pins, mirror, p, from, to); err != nil {
		return err
	}
	promotion := compare.Promote(p, from.report, to.report)
	result := newPromoteResult(promotion, from, to)
	if r.json {
		err = cli.JSON(env.Stdout, result)
	} else {
		err = result.print(env.Stdout)
	}
	if err != nil {
		return err
	}
	switch blocked, waiting := promotion.Blocked(); {
	case blocked > waiting:
		return cli.Exit(exitDiverged)
	case blocked > 0:
		return cli.Exit(exitInsufficient)
	}
	return nil
}

// promoteResult is the JSON form.
type promoteResult struct {
	From listRead `json:"from"`
	To   listRead `json:"to"`
	// Blocked is how many outputs block, and Waiting how many of those only wait for
	// evidence; Warned is how many are let through with a warning. All are of the outputs
	// of --to that are new or changed.
	Blocked  int            `json:"blocked"`
	Waiting  int            `json:"waiting"`
	Warned   int            `json:"warned"`
	Counts   compare.Counts `json:"counts"` // BASE is --from, HEAD is --to
	Excuses  []excuse       `json:"excuses"`
	Searched searched       `json:"searched"`
}

// An excuse is why an output is kept back or warned about.
type excuse struct {
	Class  compare.Class `json:"class"`
	Name   string        `json:"name"`
	System string        `json:"system,omitempty"`
	Blocks bool          `json:"blocks"`
	Waits  bool          `json:"waits"`
	From   *proven       `json:"from,omitempty"`
	To     *proven       `json:"to"`
}

// proven is an output with the claims that its verdict follows from.
type proven struct {
	Judged judgedOutput `json:",inline"`
	Claims []claim      `json:"claims"` // that count
}

func newPromoteResult(p *compare.Promotion, from, to *side) *promoteResult {
	r := &promoteResult{
		From: newListRead(from), To: newListRead(to), Counts: p.Counts, Excuses: []excuse{}, Searched: searched{to.report.Size, to.report.LatestEntry},
	}
	r.Blocked, r.Waiting = p.Blocked()
	r.Warned = len(p.Excuses) - r.Blocked
	for i := range p.Excuses {
		e := &p.Excuses[i]
		shown := excuse{Class: e.Class, Name: e.Name, System: e.System, Blocks: e.Blocks(), Waits: e.Waits()}
		entry := newCompared(&e.Change, from, to)
		shown.To = newProven(entry.Head, to.report.Results[e.Head].Case.Evidence)
		if entry.Base != nil {
			shown.From = newProven(entry.Base, from.report.Results[e.Base].Case.Evidence)
		}
		r.Excuses = append(r.Excuses, shown)
	}
	return r
}

func newProven(o *judgedOutput, e *verify.Evidence) *proven {
	p := &proven{Judged: *o, Claims: []claim{}}
	for i := range e.Claims {
		if e.Claims[i].Standing == verify.Counts {
			p.Claims = append(p.Claims, newClaim(&e.Claims[i]))
		}
	}
	return p
}

// word says what becomes of an output.
func (e *excuse) word() string {
	switch {
	case !e.Blocks:
		return "warn"
	case e.Waits:
		return "waits"
	default:
		return "blocks"
	}
}

func (r *promoteResult) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i := range r.Excuses {
		e := &r.Excuses[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.word(), e.Class, e.Name, e.To.Judged.Key, strings.Join(e.reasons(), "; "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	c := &r.Counts
	_, err := fmt.Fprintf(w, "%d outputs of %s@%s are new or changed: %d block the promotion, of which %d only wait for evidence; %d with a warning\n",
		c.New.Outputs+c.Both.Changed, r.To.Set.Name, r.To.Set.Revision, r.Blocked, r.Waiting, r.Warned)
	fmt.Fprintf(w, "%d outputs compared: %d regressed, %d fixed, %d still diverged, %d unchanged\n",
		c.Compared.Outputs, c.Compared.Regressed, c.Compared.Fixed, c.Compared.StillDiverged, c.Compared.Unchanged)
	fmt.Fprintf(w, "what the sets are is said by ledger entries %d and %d\n", r.From.Set.Index, r.To.Set.Index)
	fmt.Fprintf(w, "searched %d ledger entries, the last of %s\n", r.Searched.Entries, r.Searched.Latest.Format(time.RFC3339))
	return err
}

// reasons are those of the policy, and where they are to be looked up.
func (e *excuse) reasons() []string {
	reasons := append([]string{}, e.To.Judged.Decision.Reasons...)
	if e.From != nil {
		reasons = append(reasons, fmt.Sprintf("before: %s, %s", e.From.Judged.Key, e.From.Judged.State))
	}
	claims := append([]claim{}, e.To.Claims...)
	if e.From != nil {
		claims = append(claims, e.From.Claims...)
	}
	if len(claims) == 0 {
		return reasons
	}
	const shown = 8
	var entries []string
	for _, c := range claims[:min(len(claims), shown)] {
		entries = append(entries, fmt.Sprint(c.Index))
	}
	if more := len(claims) - len(entries); more > 0 {
		entries = append(entries, fmt.Sprintf("%d more", more))
	}
	return append(reasons, "ledger entries "+strings.Join(entries, ", "))
}
