package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// A Difference is the first thing that an aggregator publishes and that does not
// follow from its ledger.
type Difference struct {
	Of     string `json:"of"` // an output, a package set, all outputs
	Field  string `json:"field"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
}

// Error says what differs.
func (d *Difference) Error() string {
	return fmt.Sprintf("%s: %s: the ledger makes %s, published is %s", d.Of, d.Field, d.Ours, d.Theirs)
}

func differ(of, field string, ours, theirs any) error {
	return &Difference{of, field, fmt.Sprint(ours), fmt.Sprint(theirs)}
}

const nothing = "nothing"

// Compare judges every output, see [Replay.Judge], and returns nil if all that is
// published follows from the ledger. What does not is a *Difference.
func (r *Replay) Compare(ctx context.Context, p *Published, visit func(*Output)) error {
	c := comparer{replay: r, divergences: &divergencesComparer{replay: r, published: p.divergences}}
	r.agreer.asOf = p.agreement.AsOf
	var err error
	if c.verdicts, err = newLines[api.ExportedVerdict](p.verdicts); err != nil {
		return unreadable(err)
	}
	if c.changes, err = newLines[api.ExportedChange](p.changes); err != nil {
		return unreadable(err)
	}
	if err := r.Judge(ctx, func(o *Output) error {
		visit(o)
		return c.output(ctx, o)
	}); err != nil {
		return err
	}
	if c.verdicts.more {
		return differ(c.verdicts.line.Output, "verdict", nothing, c.verdicts.line.Verdict)
	}
	if c.changes.more {
		return differ(c.changes.line.Output, "history", nothing, change(c.changes.line))
	}
	if err := c.divergences.upTo(Partitions); err != nil {
		return err
	}
	for _, compare := range []func(*Published) error{r.compareSets, r.compareBuilders, r.comparePairs} {
		if err := compare(p); err != nil {
			return err
		}
	}
	return r.compareList(ctx, p.divergences)
}

func unreadable(err error) error { return differ("the export", "form", "JSON lines", err) }

type comparer struct {
	replay   *Replay
	verdicts *lines[api.ExportedVerdict]
	changes  *lines[api.ExportedChange]

	divergences *divergencesComparer
}

// output compares an output with the next line of each export.
func (c *comparer) output(ctx context.Context, o *Output) error {
	theirs := c.verdicts.line
	order := -1
	if c.verdicts.more {
		id := attestation.NewOutputID(theirs.Ecosystem, theirs.Output)
		order = bytes.Compare(o.ID[:], id[:])
	}
	switch {
	case order > 0:
		return differ(theirs.Output, "verdict", nothing, theirs.Verdict)
	case order < 0:
		name, err := c.replay.name(ctx, o)
		if err != nil {
			return err
		}
		return differ(name, "verdict", o.Judgement.Verdict, nothing)
	}
	ours := api.NewExportedVerdict(theirs.Ecosystem, theirs.Output, o.Judgement)
	for _, field := range []struct {
		name         string
		ours, theirs any
	}{
		{"verdict", ours.Verdict, theirs.Verdict},
		{"shape", none(ours.Shape), none(theirs.Shape)},
		{"operators", ours.Operators, theirs.Operators},
		{"digests", ours.Digests, theirs.Digests},
	} {
		if field.ours != field.theirs {
			return differ(theirs.Output, field.name, field.ours, field.theirs)
		}
	}
	if err := c.history(o, theirs.Output); err != nil {
		return err
	}
	if err := c.divergences.output(o, theirs.Output); err != nil {
		return err
	}
	if err := c.verdicts.next(); err != nil {
		return unreadable(err)
	}
	return nil
}

func none[T ~string](s T) T {
	if s == "" {
		return "none"
	}
	return s
}

// history compares the changes of one output.
func (c *comparer) history(o *Output, name string) error {
	for _, ours := range o.Changes {
		line := api.ExportedChange{Index: ours.Index, From: api.NewVerdict(ours.From), To: api.NewVerdict(ours.To)}
		theirs := nothing
		if c.changes.more {
			if c.changes.line.Output != name {
				theirs = "a change of " + c.changes.line.Output
			} else {
				theirs = change(c.changes.line)
			}
		}
		if theirs != change(line) {
			return differ(name, "history", change(line), theirs)
		}
		if err := c.changes.next(); err != nil {
			return unreadable(err)
		}
	}
	if l := c.changes.line; c.changes.more && attestation.NewOutputID(l.Ecosystem, l.Output) == o.ID {
		return differ(name, "history", nothing, change(l))
	}
	return nil
}

func change(c api.ExportedChange) string {
	return fmt.Sprintf("%s to %s at ledger index %d", c.From, c.To, c.Index)
}

// name looks up what an output is called.
func (r *Replay) name(ctx context.Context, o *Output) (string, error) {
	record, err := r.ledger.Tree.Record(ctx, o.First)
	if err != nil {
		return "", err
	}
	e, err := record.Entry()
	if err != nil {
		return "", err
	}
	names, ecosystem, err := r.namesIn(ctx, o.First, e)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if attestation.NewOutputID(ecosystem, name) == o.ID {
			return name, nil
		}
	}
	return fmt.Sprintf("the output with ID %x of ledger index %d", o.ID, o.First), nil
}

// namesIn returns the output keys that an entry names.
func (r *Replay) namesIn(ctx context.Context, index uint64, e *ledger.Entry) (names []string, ecosystem string, err error) {
	set, ok := reading.As[*reading.Set](index, e)
	if !ok {
		named, err := reading.Peek(index, e)
		if err != nil {
			return nil, "", err
		}
		return named.Outputs, named.Ecosystem, nil
	}
	members, err := set.Members(ctx, r.members)
	if err != nil {
		return nil, "", err
	}
	for i := range members.Counted {
		names = append(names, members.Counted[i].Key)
	}
	return names, set.Ecosystem, nil
}

// compareSets compares what is published of all outputs and of each package set.
func (r *Replay) compareSets(p *Published) error {
	sets := r.Sets()
	theirs := slices.SortedFunc(slices.Values(p.sets), func(a, b api.Set) int { return compareStrings(a.Name, b.Name) })
	for i := range max(len(sets), len(theirs)) {
		var a, b string
		if i < len(sets) {
			s := sets[i]
			a = fmt.Sprintf("%s at %s: %d members, ledger index %d of %s", s.Name, s.Revision, s.Members, s.Index, s.PublishedAt.UTC().Format(time.RFC3339Nano))
		}
		if i < len(theirs) {
			s := theirs[i]
			b = fmt.Sprintf("%s at %s: %d members, ledger index %d of %s", s.Name, s.Revision, s.Members, s.Index, s.PublishedAt.UTC().Format(time.RFC3339Nano))
		}
		if a != b {
			return differ("package sets", fmt.Sprintf("number %d", i+1), none(a), none(b))
		}
	}
	if err := r.compareScope(p, Set{}); err != nil {
		return err
	}
	for _, set := range sets {
		if err := r.compareScope(p, set); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replay) compareScope(p *Published, set Set) error {
	of := "all outputs"
	if set.Name != "" {
		of = "package set " + set.Name
	}
	if err := r.compareHistory(p, set.Name, of); err != nil {
		return err
	}
	c, s, t := r.Counts(set.Name), p.summaries[set.Name], r.Totals
	if set.Name != "" {
		t = r.TotalsOf(set)
	}
	compared := c[divergence.Reproduced] + c[divergence.Diverged]
	for _, field := range []struct {
		name         string
		ours, theirs any
	}{
		{"revision", none(set.Revision), none(s.Revision)},
		{"outputs", compared + c[divergence.Single] + c[divergence.Unbuilt], s.Outputs},
		{"compared", compared, s.Compared},
		{"reproduced", c[divergence.Reproduced], s.Reproduced},
		{"diverged", c[divergence.Diverged], s.Diverged},
		{"single", c[divergence.Single], s.Single},
		{"unbuilt", c[divergence.Unbuilt], s.Unbuilt},
		{"builders", t.Builders, s.Builders},
		{"operators", t.Operators, s.Operators},
		{"attestations", t.Attestations, s.Attestations},
		{"observations", t.Observations, s.Observations},
		{"failures", t.Failures, s.Failures},
	} {
		if field.ours != field.theirs {
			return differ(of, field.name, field.ours, field.theirs)
		}
	}
	return nil
}

func (r *Replay) compareHistory(p *Published, set, of string) error {
	ours, theirs := r.History(set), p.histories[set]
	for i := range max(len(ours), len(theirs)) {
		a, b := nothing, nothing
		if i < len(ours) {
			a = day(ours[i].Day, ours[i].Counts[divergence.Reproduced], ours[i].Counts[divergence.Diverged], ours[i].Counts[divergence.Single])
		}
		if i < len(theirs) {
			b = day(theirs[i].Day, theirs[i].Reproduced, theirs[i].Diverged, theirs[i].Single)
		}
		if a != b {
			return differ(of, "history", a, b)
		}
	}
	return nil
}

func day(at time.Time, reproduced, diverged, single uint64) string {
	return fmt.Sprintf("%d reproduced, %d diverged, %d single on %s", reproduced, diverged, single, at.UTC().Format(time.DateOnly))
}
