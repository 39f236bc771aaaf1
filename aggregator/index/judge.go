package index

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ecosystem"
	"repronet.dev/reading"
)

// An output is the state of an output while a batch is folded.
type output struct {
	store.State
	was     divergence.Verdict // as loaded
	changed bool
}

// index folds the items and writes what comes of them.
func (f *fold) index(ctx context.Context, items []*item) error {
	last := items[len(items)-1]
	b := newBatch(last.index + 1)
	outputs, err := f.touched(ctx, items)
	if err != nil {
		return err
	}
	for _, it := range items {
		f.item(b, it, outputs)
	}
	for _, o := range outputs {
		if o.changed {
			b.States = append(b.States, o.State)
			f.showDivergence(b, o)
		}
	}
	f.finish(ctx, b, last.receivedAt)
	return f.tables.Write(ctx, &b.Batch)
}

// item folds one item.
func (f *fold) item(b *batch, it *item, outputs map[attestation.OutputID]*output) {
	switch said := it.said.(type) {
	case *reading.Statement:
		if f.repeats(said) {
			it.ignored = again
			f.entry(b, it)
			return
		}
		f.entry(b, it)
		f.statement(b, it, said)
		f.claim(b, it, said.Claims(), outputs)
		f.withdraw(b, it, said, outputs)
		f.failed(b, it, said)
	case *reading.Document:
		f.entry(b, it)
		f.document(b, it, said)
		if it.ignored == "" {
			f.claim(b, it, said.Claims(), outputs)
		}
	default:
		f.entry(b, it)
	}
}

// touched reads the states of the outputs that the items name, and makes empty
// ones for those that have none.
func (f *fold) touched(ctx context.Context, items []*item) (map[attestation.OutputID]*output, error) {
	outputs := map[attestation.OutputID]*output{}
	var ids []attestation.OutputID
	for _, it := range items {
		for _, id := range it.ids {
			if _, ok := outputs[id]; !ok {
				outputs[id] = nil
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return outputs, nil
	}
	states, err := f.tables.Touched(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make([]output, len(ids))
	for i, id := range ids {
		o := &all[i]
		if s, ok := states[id]; ok {
			o.State, o.was = *s, s.Verdict
		} else {
			o.ID, o.Output = id, unnumbered
		}
		outputs[id] = o
	}
	return outputs, nil
}

// unnumbered is greater than the number of any output.
const unnumbered = 1<<32 - 1

// number gives an output its number when an entry first names it. An output that
// has one which is not given yet got it from a batch that was not finished, and
// gets it again.
func (f *fold) number(b *batch, o *output, name store.OutputName) (first bool) {
	if o.Output < f.watermark.Outputs {
		return false
	}
	o.Output = f.watermark.Outputs
	f.watermark.Outputs++
	name.Output = o.Output
	b.Outputs = append(b.Outputs, name)
	return true
}

// entry notes the entry itself.
func (f *fold) entry(b *batch, it *item) {
	row := store.Entry{
		Index: it.index, ReceivedAt: it.receivedAt, Kind: string(it.kind), Builder: it.builder, Ignored: it.ignored,
	}
	if it.ignored != "" {
		f.watermark.Ignored++
	}
	if changesRoster(it.kind) && it.ignored == "" {
		b.Roster = append(b.Roster, store.RosterEntry{Index: it.index, Kind: string(it.kind), Body: it.body})
	}
	if s, ok := it.said.(*reading.Statement); ok && it.ignored == "" {
		row.Outputs = claimed(s)
	}
	b.Entries = append(b.Entries, row)
}

// claimed counts the outputs that a statement claims.
func claimed(s *reading.Statement) uint32 {
	if s.Type != attestation.Rebuild {
		return 0
	}
	return uint32(len(s.Subjects))
}

// statement notes a statement.
func (f *fold) statement(b *batch, it *item, s *reading.Statement) {
	row := store.Statement{
		Builder: it.builder, Sequence: s.Chain.Sequence, Index: it.index, Payload: s.Payload, Skipped: s.Chain.Skipped,
	}
	if stream, err := hex.DecodeString(s.Chain.Stream); err == nil {
		copy(row.Stream[:], stream) // 32 hexadecimal digits, or none
	}
	b.Statements = append(b.Statements, row)
	f.heard(b, it.builder, claimed(s), it.receivedAt)
	f.watermark.Attestations++
	f.ecosystem(b, s.Ecosystem)
}

// document notes third-party evidence in the names of those in whose it counts.
func (f *fold) document(b *batch, it *item, d *reading.Document) {
	note := func(builder, n uint32) {
		b.Documents = append(b.Documents, store.Document{
			Index: it.index, Builder: builder, Outputs: n, ReceivedAt: it.receivedAt, ID: d.ID,
		})
	}
	if it.ignored != "" {
		note(store.NoBuilder, 0)
		return
	}
	rows := uint32(len(d.Rows))
	f.watermark.Attestations++
	f.ecosystem(b, d.Ecosystem)
	for _, s := range d.Counted() {
		note(s.Number, rows)
		f.heard(b, s.Number, rows, it.receivedAt)
	}
}

// heard counts an entry in a builder's name that claims so many outputs.
func (f *fold) heard(b *batch, builder, outputs uint32, at time.Time) {
	stats, ok := f.builders[builder]
	if !ok {
		stats = &store.BuilderStats{Builder: builder}
		f.builders[builder] = stats
		if enrolled, ok := f.roster.ByNumber(builder); ok {
			f.operators[enrolled.OperatorNumber] = struct{}{}
		}
	}
	stats.Attestations++
	stats.Observations += uint64(outputs)
	stats.LastSeen = at
	b.seen[builder] = struct{}{}
	f.watermark.Observations += uint64(outputs)
}

// claim folds the claims of an entry. Those on one output follow one another; it is
// judged after the last.
func (f *fold) claim(b *batch, it *item, claims iter.Seq[reading.Claim], outputs map[attestation.OutputID]*output) {
	var o *output
	var id attestation.OutputID // of o
	var by made
	changed := false
	settle := func() {
		if changed {
			f.judge(b, o, it.index, it.receivedAt)
		}
		changed = false
	}
	for c := range claims {
		if o == nil || id != c.ID {
			settle()
			o, id = outputs[c.ID], c.ID
			f.name(b, it, o, &c, &by)
		}
		b.Observations = append(b.Observations, store.Observation{
			Output: o.Output, Index: it.index, Builder: c.Builder, Digest: store.Short(c.Digest[:]),
		})
		if it.index < o.Version {
			continue // the state has this entry already
		}
		if !holds(&o.Claims, c.Digest) {
			b.Digests = append(b.Digests, store.Pair{Hash: store.Short(c.Digest[:]), Output: o.Output})
		}
		changed = o.Claims.Add(c.At(it.index)) || changed
	}
	settle()
}

// made is the build of the claims at hand, and its hash.
type made struct {
	build *attestation.Build
	hash  uint64
}

// name gives an output that an entry claims its number, and notes what it is called and
// by which build it is made.
func (f *fold) name(b *batch, it *item, o *output, c *reading.Claim, by *made) {
	called := store.OutputName{Ecosystem: ecosystemOf(it.said), Key: c.Output}
	if c.Build == nil {
		f.number(b, o, called)
		return
	}
	if by.build != c.Build {
		id := attestation.NewOutputID(called.Ecosystem, c.Build.Name)
		*by = made{c.Build, store.Short(id[:])}
	}
	_, called.Name, _ = ecosystem.Of(called.Ecosystem).Split(c.Output)
	called.Build = c.Build.Name
	first := f.number(b, o, called)
	b.pair(&b.Builds, by.hash, o.Output)
	if it.index >= o.Version && !first && !stated(&o.Claims) { // until now only a package set's or a document's word
		called.Output, called.Version = o.Output, it.index+1
		b.Outputs = append(b.Outputs, called)
	}
}

func ecosystemOf(said reading.Said) string {
	switch said := said.(type) {
	case *reading.Statement:
		return said.Ecosystem
	case *reading.Document:
		return said.Ecosystem
	default:
		return ""
	}
}

// stated reports whether a statement has named the output.
func stated(claims *divergence.Output) bool {
	return slices.ContainsFunc(claims.Claims, func(c divergence.Claim) bool { return !c.Document })
}

func holds(claims *divergence.Output, digest attestation.Digest) bool {
	return slices.ContainsFunc(claims.Claims, func(c divergence.Claim) bool { return c.Digest == digest })
}

// pair adds a row for the look-up of builds unless the batch has it.
func (b *batch) pair(to *[]store.Pair, hash uint64, output uint32) {
	p := store.Pair{Hash: hash, Output: output}
	if _, twice := b.pairs[p]; !twice {
		b.pairs[p] = struct{}{}
		*to = append(*to, p)
	}
}

func (f *fold) withdraw(b *batch, it *item, s *reading.Statement, outputs map[attestation.OutputID]*output) {
	for w := range s.Withdrawals() {
		o := outputs[w.ID]
		if o.Output >= f.watermark.Outputs || it.index < o.Version {
			continue // no entry claims it yet, or the state has this entry already
		}
		if o.Claims.Withdraw(w.Builder, w.Digest) {
			b.Withdrawals = append(b.Withdrawals, store.Withdrawal{
				Output: o.Output, Index: it.index, Builder: w.Builder, Digest: w.Digest,
			})
			f.judge(b, o, it.index, it.receivedAt)
		}
	}
}

func (f *fold) failed(b *batch, it *item, s *reading.Statement) {
	for _, recipe := range s.Failures() {
		id := attestation.NewOutputID(s.Ecosystem, recipe)
		b.Failures = append(b.Failures, store.Failure{Build: store.Short(id[:]), Index: it.index, Builder: it.builder})
		f.watermark.Failures++
	}
}

// judge judges an output whose claims an entry changed, or what they count for.
// This and [fold.restate] are the only places that do.
func (f *fold) judge(b *batch, o *output, index uint64, at time.Time) {
	o.changed = true
	o.Version = index + 1
	judged := divergence.Judge(&o.Claims, f.roster)
	if judged.Verdict != o.Verdict {
		b.Changes = append(b.Changes, store.Change{Output: o.Output, Index: index, Old: o.Verdict, New: judged.Verdict})
		f.move(b, index, at, o.Output, o.Verdict, judged.Verdict)
	}
	take(&o.Judged, judged, index)
}

// take gives an output the judgement that holds since an entry.
func take(j *store.Judged, judged divergence.Judgement, index uint64) {
	if judged.Verdict != j.Verdict {
		j.Since, j.Previous = index, j.Verdict
	}
	j.Judgement = judged
}

// showDivergence notes what the list of divergences says of an output.
func (f *fold) showDivergence(b *batch, o *output) {
	if o.was != divergence.Diverged && o.Verdict != divergence.Diverged {
		return
	}
	row := store.Divergence{Output: o.Output, Version: o.Version}
	if o.Verdict == divergence.Diverged {
		row.Diverged, row.Shape, row.Inputs = true, o.Shape, o.Inputs
		row.Since, row.Previous = o.Since, o.Previous
		row.Holders = holders(&o.Claims, f.roster)
	}
	b.Divergences = append(b.Divergences, row)
}

// holders returns the builders whose claims count.
func holders(claims *divergence.Output, operators divergence.Operators) []uint32 {
	var found []uint32
	for c := range claims.Standing(operators) {
		found = append(found, c.Builder)
	}
	slices.Sort(found)
	return slices.Compact(found)
}
