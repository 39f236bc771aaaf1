package index

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"repronet/aggregator/store"
	"repronet/attestation"
	"repronet/divergence"
	"repronet/ledger"
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
		if it.statement != nil && f.repeats(it) {
			it.statement, it.ignored = nil, again
		}
		f.entry(b, it)
		if it.evidence != nil {
			f.document(b, it, outputs)
		}
		if it.statement == nil {
			continue
		}
		switch it.statement.Type {
		case attestation.Rebuild:
			f.claim(b, it, outputs)
		case attestation.Withdraw:
			f.withdraw(b, it, outputs)
		case attestation.BuildFailed:
			f.failed(b, it)
		}
	}
	for _, o := range outputs {
		if o.changed {
			b.States = append(b.States, o.State)
			f.showDivergence(b, o)
		}
	}
	f.finish(b, last.receivedAt)
	return f.tables.Write(ctx, &b.Batch)
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
	if (it.kind == ledger.Enrolment || it.kind == ledger.Revocation || it.kind == ledger.Erased) && it.ignored == "" {
		b.Roster = append(b.Roster, store.RosterEntry{Index: it.index, Kind: string(it.kind), Body: it.body})
	}
	if s := it.statement; s != nil {
		if s.Type == attestation.Rebuild {
			row.Outputs = uint32(len(s.Subjects))
		}
		f.statement(b, it, row.Outputs)
	}
	b.Entries = append(b.Entries, row)
}

func (f *fold) statement(b *batch, it *item, outputs uint32) {
	row := store.Statement{
		Builder: it.builder, Sequence: it.statement.Chain.Sequence, Index: it.index,
		Payload: it.payload, Skipped: it.statement.Chain.Skipped,
	}
	if stream, err := hex.DecodeString(it.statement.Chain.Stream); err == nil {
		copy(row.Stream[:], stream) // 32 hexadecimal digits, or none
	}
	b.Statements = append(b.Statements, row)
	f.heard(b, it.builder, outputs, it.receivedAt)
	f.watermark.Attestations++
	f.ecosystem(b, it.statement.Ecosystem)
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

func (f *fold) claim(b *batch, it *item, outputs map[attestation.OutputID]*output) {
	s := it.statement
	for _, build := range s.Builds {
		buildID := attestation.NewOutputID(s.Ecosystem, build.Name)
		var inputs divergence.InputsKey
		if !build.InputsDigest.IsZero() {
			inputs = divergence.NewInputsKey(build.InputsDigest)
		}
		for _, i := range build.Outputs {
			subject, o := s.Subjects[i], outputs[it.ids[i]]
			_, name, _ := strings.Cut(subject.Name, "^")
			called := store.OutputName{Ecosystem: s.Ecosystem, Key: subject.Name, Build: build.Name, Name: name}
			first := f.number(b, o, called)
			b.Observations = append(b.Observations, store.Observation{
				Output: o.Output, Index: it.index, Builder: it.builder, Digest: store.Short(subject.Digest[:]),
			})
			b.pair(&b.Builds, store.Short(buildID[:]), o.Output)
			if it.index < o.Version {
				continue // the state has this entry already
			}
			if !first && !stated(&o.Claims) { // until now only a package set's or a document's word
				called.Output, called.Version = o.Output, it.index+1
				b.Outputs = append(b.Outputs, called)
			}
			if !holds(&o.Claims, subject.Digest) {
				b.Digests = append(b.Digests, store.Pair{Hash: store.Short(subject.Digest[:]), Output: o.Output})
			}
			if o.Claims.Add(divergence.Claim{Builder: it.builder, Digest: subject.Digest, Index: it.index, Inputs: inputs}) {
				f.judge(b, o, it.index, it.receivedAt)
			}
		}
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

func (f *fold) withdraw(b *batch, it *item, outputs map[attestation.OutputID]*output) {
	for i, subject := range it.statement.Subjects {
		o := outputs[it.ids[i]]
		if o.Output >= f.watermark.Outputs || it.index < o.Version {
			continue // nobody claims it yet, or the state has this entry already
		}
		if o.Claims.Withdraw(it.builder, subject.Digest) {
			b.Withdrawals = append(b.Withdrawals, store.Withdrawal{
				Output: o.Output, Index: it.index, Builder: it.builder, Digest: subject.Digest,
			})
			f.judge(b, o, it.index, it.receivedAt)
		}
	}
}

func (f *fold) failed(b *batch, it *item) {
	seen := map[string]struct{}{}
	for _, build := range it.statement.Builds {
		if _, twice := seen[build.Name]; twice {
			continue
		}
		seen[build.Name] = struct{}{}
		id := attestation.NewOutputID(it.statement.Ecosystem, build.Name)
		b.Failures = append(b.Failures, store.Failure{Build: store.Short(id[:]), Index: it.index, Builder: it.builder})
		f.watermark.Failures++
	}
}

// judge gives an output whose claims an entry changed its verdict.
func (f *fold) judge(b *batch, o *output, index uint64, at time.Time) {
	o.changed = true
	o.Version = index + 1
	verdict := divergence.Judge(&o.Claims, f.roster).Verdict
	if verdict == o.Verdict {
		return
	}
	b.Changes = append(b.Changes, store.Change{Output: o.Output, Index: index, Old: o.Verdict, New: verdict})
	f.move(b, index, at, o.Output, o.Verdict, verdict)
	if verdict == divergence.Diverged {
		o.Since, o.Previous = index, o.Verdict
	}
	o.Verdict = verdict
}

// showDivergence notes what the list of divergences says of an output.
func (f *fold) showDivergence(b *batch, o *output) {
	if o.was != divergence.Diverged && o.Verdict != divergence.Diverged {
		return
	}
	row := store.Divergence{Output: o.Output, Version: o.Version}
	if o.Verdict == divergence.Diverged {
		j := divergence.Judge(&o.Claims, f.roster)
		row.Diverged, row.Shape, row.Inputs = true, j.Shape, j.Inputs
		row.Since, row.Previous, row.Claims = o.Since, o.Previous, o.Claims
		row.Holders = holders(&o.Claims, f.roster)
	}
	b.Divergences = append(b.Divergences, row)
}

// holders returns the builders whose claims count.
func holders(claims *divergence.Output, operators divergence.Operators) []uint32 {
	var found []uint32
	for c, standing := range claims.Weigh(operators) {
		if standing == divergence.Stands {
			found = append(found, c.Builder)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
