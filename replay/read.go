package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// Config says how to replay. The zero value of a field other than Attachment is
// usable.
type Config struct {
	// Dir is where temporary files go; "": the system's place.
	Dir string
	// Attachment returns the bytes that have a SHA-256.
	Attachment func(ctx context.Context, sum attestation.Digest) ([]byte, error)
	// Progress is told how far the replay is. nil: it is not told.
	Progress func(work string, done, total uint64)
	// Observe is told of every entry, in ledger order, by one goroutine. An error ends the
	// replay. nil: nobody is told.
	Observe func(*Observed) error
	// Workers is how many entries are opened, and files judged, at a time; 0: as many as
	// there are processors.
	Workers int
}

// Entries are those of a ledger that was verified; *ledger.Tree has them.
type Entries interface {
	Record(ctx context.Context, index uint64) (ledger.Record, error)
	Records(ctx context.Context, from, to uint64) iter.Seq2[ledger.Record, error]
}

// A Ledger is what is replayed, and in which of its entries there are enrolments
// and revocations, and erasures.
type Ledger struct {
	Tree   Entries
	Roster []uint64 // ascending; what lies beyond Size does not matter
	Erased []uint64 // the erasures, likewise
	Size   uint64   // how many entries to replay
	// Origin is the ledger's name. Without it no statement counts that names the ledgers
	// in which it does.
	Origin string
}

// A Replay is a ledger that was read. [Replay.Judge] comes next.
type Replay struct {
	Size   uint64
	Erased int // attachments that the ledger took away
	Totals Totals

	config   Config
	ledger   Ledger
	roster   *enrolment.Roster
	reader   *reading.Reader // under the keys of roster
	erased   map[attestation.Digest]struct{}
	timeline *timeline
	spill    *Spill
	sorter   *outputmap.Sorter
	builders map[uint32]*builder // with an attestation
	// statements of the entries taken in; some 30 bytes each
	statements map[reading.Key]struct{}
	days       []dayStart
	revisions  []revision
	roots      []mapRoot
	buffers    sync.Pool // of *[Partitions][]byte, for parts
	counts     *counts
	agreer     *agreer
}

// dayStart says which entry is the first of a day.
type dayStart struct {
	first uint64
	day   int64
}

// Read reads the ledger.
func Read(ctx context.Context, config Config, l Ledger) (r *Replay, err error) {
	if config.Progress == nil {
		config.Progress = func(string, uint64, uint64) {}
	}
	if config.Workers == 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	r = &Replay{
		Size: l.Size, config: config, ledger: l, roster: enrolment.NewRoster(), timeline: newTimeline(),
		sorter: outputmap.NewSorter(config.Dir), builders: map[uint32]*builder{}, counts: newCounts(),
		agreer:     &agreer{pairs: map[pair]agreement{}},
		statements: map[reading.Key]struct{}{},
	}
	r.reader = reading.New(r.roster, r.certificate).In(l.Origin)
	if r.erased, err = l.erased(ctx); err != nil {
		return nil, fmt.Errorf("replaying: %w", err)
	}
	r.Erased = len(r.erased)
	if r.spill, err = NewSpill(config.Dir); err != nil {
		return nil, fmt.Errorf("replaying: %w", err)
	}
	if err := r.read(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("replaying: %w", err), r.Close())
	}
	r.count()
	return r, nil
}

// Close removes the temporary files.
func (r *Replay) Close() error { return errors.Join(r.spill.Close(), r.sorter.Close()) }

// job is a piece of a bundle, read by whichever worker is free and taken in in
// ledger order.
type job struct {
	from, to uint64
	done     chan *part
}

func (r *Replay) read(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	work, queue := make(chan *job), make(chan *job, 2*r.config.Workers)
	var opening sync.WaitGroup // jobs that look keys up
	group.Go(func() error {
		defer close(work)
		defer close(queue)
		return r.dispatch(ctx, func(j *job) bool {
			opening.Add(1)
			select {
			case queue <- j:
			case <-ctx.Done():
				opening.Done()
				return false
			}
			select {
			case work <- j:
				return true
			case <-ctx.Done():
				opening.Done()
				return false
			}
		}, opening.Wait)
	})
	for range r.config.Workers {
		group.Go(func() error {
			for j := range work {
				p, err := r.open(ctx, j.from, j.to)
				opening.Done()
				if err != nil {
					return err
				}
				j.done <- p
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range queue {
			select {
			case p := <-j.done:
				if err := r.take(p); err != nil {
					return err
				}
				r.config.Progress("replaying", j.to, r.Size)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return group.Wait()
}

// dispatch hands the ledger out in pieces that end before each entry of the
// roster, and applies that when all before it are opened.
func (r *Replay) dispatch(ctx context.Context, hand func(*job) bool, settle func()) error {
	changes := r.ledger.Roster
	for from := uint64(0); from < r.Size; {
		if len(changes) > 0 && changes[0] == from {
			settle()
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.enrol(ctx, from); err != nil {
				return err
			}
			changes = changes[1:]
		}
		to := min((from/ledger.BundleWidth+1)*ledger.BundleWidth, r.Size)
		if len(changes) > 0 {
			to = min(to, changes[0])
		}
		if !hand(&job{from, to, make(chan *part, 1)}) {
			return context.Cause(ctx)
		}
		from = to
	}
	return nil
}

// enrol applies an entry of the roster.
func (r *Replay) enrol(ctx context.Context, index uint64) error {
	record, err := r.ledger.Tree.Record(ctx, index)
	if err != nil {
		return err
	}
	e, err := record.Entry()
	if err != nil {
		return err
	}
	if e.Kind == ledger.Rules {
		if err := reading.Known(index, e); err != nil {
			return err
		}
		if rules, ok := reading.As[*reading.Rules](index, e); ok {
			r.roster.Judge(index, uint32(rules.Version))
		}
		return nil
	}
	number, rejudge, err := r.roster.Apply(index, e.Kind, e.Body)
	if err != nil {
		return nil //nolint:nilerr // moves nothing, for any reader
	}
	b, ok := r.roster.ByNumber(number)
	if !ok {
		return nil
	}
	r.timeline.note(index, b, rejudge)
	for _, c := range b.Certificates {
		// All have to be there, also those that no document asks for.
		if _, err := r.certificate(ctx, c.Certificate); err != nil && !errors.Is(err, ledger.ErrErased) {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	if b.Keyless != nil {
		if _, err := r.certificate(ctx, b.Keyless.TrustedRoot); err != nil && !errors.Is(err, ledger.ErrErased) {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}

// take takes in what a piece of the ledger says, in ledger order.
func (r *Replay) take(p *part) error {
	repeated := r.dropRepeated(p)
	for i := range p.observed {
		o := &p.observed[i]
		_, o.Repeated = repeated[o.Index]
		if err := r.config.Observe(o); err != nil {
			return err
		}
	}
	p.observed = nil
	for partition, ops := range p.ops {
		if err := r.spill.Write(partition, ops); err != nil {
			return err
		}
		p.ops[partition] = ops[:0]
	}
	r.buffers.Put(p.ops)
	for _, e := range p.keys {
		if err := r.sorter.Add(e.index, e.ids...); err != nil {
			return err
		}
	}
	for _, d := range p.days {
		switch n := len(r.days); {
		case n > 0 && r.days[n-1].day > d.day:
			return fmt.Errorf("%w: entry %d was received on an earlier day than the one before it", ledger.ErrInvalid, d.first)
		case n == 0 || r.days[n-1].day < d.day:
			r.days = append(r.days, d)
		}
	}
	for _, s := range p.sets {
		for i := range r.revisions {
			if r.revisions[i].Name == s.Name && r.revisions[i].until == math.MaxUint64 {
				r.revisions[i].until = s.Index
			}
		}
		r.revisions = append(r.revisions, revision{s, s.Index, math.MaxUint64})
	}
	r.roots = append(r.roots, p.roots...)
	for _, h := range p.heard {
		r.hear(h)
	}
	t := &r.Totals
	t.Attestations += p.totals.Attestations
	t.Observations += p.totals.Observations
	t.Failures += p.totals.Failures
	return nil
}

// count counts who spoke.
func (r *Replay) count() {
	operators := map[uint32]struct{}{}
	for number := range r.builders {
		if b, ok := r.roster.ByNumber(number); ok {
			operators[b.OperatorNumber] = struct{}{}
		}
	}
	r.Totals.Builders, r.Totals.Operators = uint64(len(r.builders)), uint64(len(operators))
}

// listed reports whether an entry is among those of its kind that are known.
func listed(entries []uint64, index uint64) bool {
	_, found := slices.BinarySearch(entries, index)
	return found
}

func compareStrings(a, b string) int { return strings.Compare(a, b) }
