package index

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// A fold is what the index has in memory: the state after the entries before
// the watermark, without the states of outputs, which are in the tables.
type fold struct {
	config Config
	tables *store.Tables
	ledger Ledger

	watermark  store.Watermark
	roster     *enrolment.Roster
	reader     *reading.Reader // under the keys of roster
	erased     map[attestation.Digest]struct{}
	statements map[reading.Key]struct{}
	ecosystems map[string]struct{}
	builders   map[uint32]*store.BuilderStats
	operators  map[uint32]struct{} // behind builders
	scopes     map[string]*scope
	members    map[uint32][]*scope // package sets that have the output at their newest revision
}

// A scope is what verdicts are counted in: everything, or a package set.
type scope struct {
	name   string
	counts store.Counts
	// version says that the changes of the entries before it are counted.
	version uint64
}

// everything is the name of the scope of all outputs with a position.
const everything = ""

func newFold(ctx context.Context, config Config, tables *store.Tables, l Ledger) (*fold, error) {
	f := &fold{
		config: config, tables: tables, ledger: l,
		roster: enrolment.NewRoster(), erased: map[attestation.Digest]struct{}{}, ecosystems: map[string]struct{}{},
		builders: map[uint32]*store.BuilderStats{}, operators: map[uint32]struct{}{},
		scopes:  map[string]*scope{everything: {}},
		members: map[uint32][]*scope{},
	}
	origin, _, _ := strings.Cut(config.Origin, "+") // which is a key as C2SP signed notes write it
	f.reader = reading.New(f.roster, f.attachment).In(origin).After(config.Recent)
	if err := fill(ctx, config, tables, l); err != nil {
		return nil, fmt.Errorf("completing the index of an earlier version: %w", err)
	}
	if err := f.load(ctx); err != nil {
		return nil, fmt.Errorf("reading the index's state: %w", err)
	}
	return f, nil
}

func (f *fold) load(ctx context.Context) (err error) {
	if f.watermark, err = f.tables.Watermark(ctx); err != nil {
		return err
	}
	size := f.watermark.Size
	roster, err := f.tables.Roster(ctx, size)
	if err != nil {
		return err
	}
	for _, e := range roster {
		if err := f.apply(e); err != nil {
			return fmt.Errorf("entry %d of the roster: %w", e.Index, err)
		}
	}
	if size == 0 {
		if err := f.foresee(ctx); err != nil {
			return err
		}
	}
	ecosystems, err := f.tables.Ecosystems(ctx)
	if err != nil {
		return err
	}
	for _, name := range ecosystems {
		f.ecosystems[name] = struct{}{}
	}
	builders, err := f.tables.CountBuilders(ctx, size)
	if err != nil {
		return err
	}
	for _, b := range builders {
		f.builders[b.Builder] = &b
		if builder, ok := f.roster.ByNumber(b.Builder); ok {
			f.operators[builder.OperatorNumber] = struct{}{}
		}
	}
	if err := f.loadStatements(ctx); err != nil {
		return err
	}
	return f.loadScopes(ctx)
}

// apply applies an entry of the roster that was indexed before.
func (f *fold) apply(e store.RosterEntry) error {
	entry := &ledger.Entry{Kind: ledger.Kind(e.Kind), Body: e.Body}
	said, err := reading.Administrative(e.Index, entry)
	if err != nil {
		return err
	}
	if erasure, ok := said.(*reading.Erasure); ok {
		f.erased[erasure.Attachment] = struct{}{}
		return nil
	}
	if rules, ok := said.(*reading.Rules); ok {
		f.roster.Judge(e.Index, uint32(rules.Version))
		return nil
	}
	_, _, err = f.roster.Apply(e.Index, entry.Kind, entry.Body)
	return err
}

func (f *fold) loadScopes(ctx context.Context) error {
	counts, err := f.tables.LatestCounts(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		f.scopes[c.Scope] = &scope{name: c.Scope, counts: c.Counts, version: c.Version}
	}
	for m, err := range f.tables.Memberships(ctx, f.watermark.Size) {
		if err != nil {
			return err
		}
		f.members[m.Output] = append(f.members[m.Output], f.scope(m.Set))
	}
	return nil
}

func (f *fold) scope(name string) *scope {
	s, ok := f.scopes[name]
	if !ok {
		s = &scope{name: name}
		f.scopes[name] = s
	}
	return s
}

// catchUp indexes what the ledger holds now.
func (f *fold) catchUp(ctx context.Context) error {
	size := f.ledger.Size()
	for f.watermark.Size < size {
		if err := f.advance(ctx, size); err != nil {
			return err
		}
	}
	return nil
}

// advance indexes the next batch of the entries before size.
func (f *fold) advance(ctx context.Context, size uint64) error {
	if err := f.step(ctx, size); err != nil {
		return fmt.Errorf("indexing entry %d and later: %w", f.watermark.Size, err)
	}
	f.config.Progress(f.watermark.Size, size)
	return nil
}

// step indexes one batch of entries.
func (f *fold) step(ctx context.Context, size uint64) error {
	items, barrier, err := f.gather(ctx, min(size, f.watermark.Size+uint64(f.config.MaxEntries)))
	if err != nil {
		return err
	}
	if len(items) > 0 {
		if err := f.index(ctx, items); err != nil {
			return err
		}
	}
	switch {
	case barrier == nil:
		return nil
	case barrier.kind == ledger.PackageSet:
		return f.publish(ctx, barrier)
	case barrier.kind == ledger.Erased:
		return fmt.Errorf("entry %d: %w", barrier.index, errTakenAway)
	default:
		return f.rejudge(ctx, barrier)
	}
}

// A batch collects the rows of a batch of entries while they are folded.
type batch struct {
	store.Batch
	end    uint64 // index of the last entry + 1
	counts map[dayOf]*store.DayCounts
	seen   map[uint32]struct{} // builders with an attestation in the batch
	pairs  map[store.Pair]struct{}
}

type dayOf struct {
	scope string
	day   int64
}

func newBatch(end uint64) *batch {
	return &batch{
		end: end, counts: map[dayOf]*store.DayCounts{}, seen: map[uint32]struct{}{}, pairs: map[store.Pair]struct{}{},
	}
}

// move counts a transition, unless the counts contain the entry already.
func (f *fold) move(b *batch, index uint64, at time.Time, output uint32, from, to divergence.Verdict) {
	f.count(b, f.scopes[everything], index, at, from, to)
	for _, s := range f.members[output] {
		f.count(b, s, index, at, from, to)
	}
}

func (f *fold) count(b *batch, s *scope, index uint64, at time.Time, from, to divergence.Verdict) {
	if index < s.version {
		return
	}
	// In the scope of everything an output without a position does not count.
	if from != divergence.Unbuilt || s.name != everything {
		s.counts[from]--
	}
	if to != divergence.Unbuilt || s.name != everything {
		s.counts[to]++
	}
	b.note(s, at)
}

// note takes the scope's counts as those of the day's end so far.
func (b *batch) note(s *scope, at time.Time) {
	day := at.UTC().Truncate(24 * time.Hour)
	b.counts[dayOf{s.name, day.Unix()}] = &store.DayCounts{Scope: s.name, Day: day, Version: b.end, Counts: s.counts}
}

// finish completes the batch's rows and moves the watermark in memory. What was
// counted up to now is in the tables when the batch has been written.
func (f *fold) finish(ctx context.Context, b *batch, received time.Time) {
	f.watermark.Size = b.end
	f.watermark.ReceivedAt = received
	f.watermark.Builders = uint32(len(f.builders))
	f.watermark.Operators = uint32(len(f.operators))
	f.watermark.Origin, f.watermark.Root = f.origin(ctx, b.end)
	b.settle()
	for number := range b.seen {
		stats := f.builders[number]
		stats.Version = b.end
		b.Builders = append(b.Builders, *stats)
	}
	watermark := f.watermark
	b.Watermark = &watermark
}

// origin is what the index notes of the ledger that it is made from. A ledger whose
// tiles cannot be read now is noted with the next batch.
func (f *fold) origin(ctx context.Context, size uint64) (string, []byte) {
	if f.config.Root == nil {
		return "", nil
	}
	root, err := f.config.Root(ctx, size)
	if err != nil {
		f.config.Logger.WarnContext(ctx, "noting the ledger's root", "size", size, "error", err)
		return "", nil
	}
	return f.config.Origin, root
}

// settle turns the counts noted into rows.
func (b *batch) settle() {
	for c := range maps.Values(b.counts) {
		b.Counts = append(b.Counts, *c)
	}
}

func (f *fold) ecosystem(b *batch, name string) {
	if _, known := f.ecosystems[name]; !known {
		f.ecosystems[name] = struct{}{}
		b.Ecosystems = append(b.Ecosystems, name)
	}
}
