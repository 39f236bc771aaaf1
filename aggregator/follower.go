package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/ledger/replica"
	"repronet.dev/reading"
)

// A Follower serves what an aggregator serves, from a checked copy of its ledger and an index
// of its own: nothing of what it says is the other's word. Submissions and requests to be
// enrolled are passed on to the other, the writer. Any number of followers need nothing of
// each other.
//
// In its data directory are replica/, the copy (package replica), and index/.
type Follower struct {
	view
	replica *replica.Replica
	writer  *api.Client
	tell    func(done, total uint64) // of a copy that takes long

	seen    atomic.Int64           // when the writer was heard of last, in seconds since 1970; 0: not yet
	shown   atomic.Uint64          // entries that it showed then
	trouble atomic.Pointer[string] // why the copy is not up to date; nil: it is
	past    []pastState            // of run alone
}

// A pastState is one that the copy was of. What only it needs stays on disk for a while, for
// those who still read it.
type pastState struct {
	size uint64
	at   time.Time
}

const (
	// followTimeout bounds one look at the writer's state; a copy from the beginning may take
	// long.
	followTimeout = time.Hour
	// resourceTimeout bounds the fetching of one file.
	resourceTimeout = time.Minute
	// pastPatience is how long a state of the copy can be read after the next one came.
	pastPatience = 5 * time.Minute
)

// OpenFollower opens the data directory of a follower, which is made if it is not there. It
// fails if another process has it open, or if it is that of a ledger's writer.
func OpenFollower(ctx context.Context, config Config, deps Dependencies) (f *Follower, err error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	key, err := note.NewVerifier(config.LogKey)
	if err != nil {
		return nil, err
	}
	if _, err := Origin(config.Data); !errors.Is(err, ErrNoLedger) {
		return nil, errors.Join(fmt.Errorf("%s is the directory of a ledger of its own: give the follower another", config.Data), err)
	}
	config.Origin = key.Name()
	f = &Follower{view: view{config: config, deps: deps, logKey: config.LogKey}}
	if f.writer, err = api.Dial(config.Follow, resourceTimeout); err != nil {
		return nil, wrong("follow", "%v", err)
	}
	f.tell = f.copying()
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	if f.replica, err = replica.Open(ctx, filepath.Join(config.Data, replicaDir), key, nil); err != nil {
		return f, err
	}
	if f.keeper, err = newKeeper(&f.view); err != nil {
		return f, err
	}
	if err := f.keeper.open(ctx); err != nil { // the replica's lock is held
		return f, err
	}
	f.ledger = diskLedger{log: followed{f.replica}, attachments: f.replica.Attachments, fetch: f.attachment}
	if err := f.erase(ctx, 0, f.ledger.Size()); err != nil { // also what a process that ended did not come to
		return f, err
	}
	f.filters = newFilters(f.replica.Attachments)
	f.keeper.attach(ctx)
	return f, nil
}

// followed is a copy as a log on this disk.
type followed struct{ replica *replica.Replica }

// Size is the number of entries of the copy.
func (l followed) Size() uint64 {
	if c := l.replica.Checkpoint(); c != nil {
		return c.Size
	}
	return 0
}

// Local is the log up to these, which were checked when they were written.
func (l followed) Local() *ledger.Tree { return l.replica.Local(l.Size()) }

// attachment brings an attachment into the copy, checked.
func (f *Follower) attachment(ctx context.Context, id ledger.AttachmentID) ([]byte, error) {
	data, err := ledger.FetchAttachment(ctx, f.writer.Log(), id)
	if err != nil {
		return nil, err
	}
	_, err = f.replica.Attachments.Put(bytes.NewReader(data))
	return data, err
}

// follow brings the copy up to the writer's latest state, once.
func (f *Follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	latest, from, err := f.replica.Fetch(ctx, f.writer.Log(), f.tell)
	if err != nil {
		return fmt.Errorf("following %s: %w", f.config.Follow, err)
	}
	f.seen.Store(time.Now().Unix())
	f.shown.Store(latest.Size)
	if latest.Size == from && f.replica.Checkpoint() != nil {
		return f.tidy(time.Now())
	}
	if err := f.erase(ctx, from, latest.Size); err != nil {
		return fmt.Errorf("following %s: %w", f.config.Follow, err)
	}
	f.replica.Advance(latest)
	f.past = append(f.past, pastState{from, time.Now()})
	return f.tidy(time.Now())
}

// erase removes from the copy what entries erased, before anybody sees them.
func (f *Follower) erase(ctx context.Context, from, to uint64) error {
	sums, err := reading.Erasures(f.replica.Local(to).Records(ctx, from, to))
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if err := f.replica.Attachments.Erase(ledger.AttachmentID(sum)); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what only past states needed.
func (f *Follower) tidy(now time.Time) error {
	for len(f.past) > 0 && now.Sub(f.past[0].at) > pastPatience {
		if err := f.replica.Tidy(f.past[0].size); err != nil {
			return fmt.Errorf("tidying the copy: %w", err)
		}
		f.past = f.past[1:]
	}
	return nil
}

// run follows until ctx ends. It returns an error if the writer's log is convicted of two
// histories: there is no telling then which is to be served. Whatever else is shown or not
// shown, the copy stays what was proven.
func (f *Follower) run(ctx context.Context) error {
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if _, convicted := errors.AsType[*replica.ConvictedError](err); convicted {
			return err
		}
		f.note(ctx, err)
		select {
		case <-time.After(f.config.CheckpointInterval):
		case <-ctx.Done():
			return nil
		}
	}
}

// note takes note of what became of a look at the writer, and logs it if that is news.
func (f *Follower) note(ctx context.Context, err error) {
	before := f.trouble.Load()
	if err == nil {
		if f.trouble.Store(nil); before != nil {
			f.deps.Logger.InfoContext(ctx, "following again", "writer", f.config.Follow, "entries", f.ledger.Size())
		}
		return
	}
	text := err.Error()
	if f.trouble.Store(&text); before == nil || *before != text {
		f.deps.Logger.ErrorContext(ctx, "the copy is not up to date", "error", err)
	}
}

// copying returns a function that logs the progress of a copy that takes long.
func (f *Follower) copying() func(done, total uint64) {
	const step = 10 * time.Second
	told := time.Now()
	return func(done, total uint64) {
		if time.Since(told) > step && done < total {
			told = time.Now()
			f.deps.Logger.Info("copying the ledger", "entries", done, "of", total)
		}
	}
}

// lag says how far the index is behind what the writer showed last, in entries, and how long
// ago that was.
func (f *Follower) lag() (entries uint64, since time.Duration) {
	shown, indexed := f.shown.Load(), f.keeper.indexed.Load()
	return max(shown, indexed) - indexed, time.Since(time.Unix(f.seen.Load(), 0))
}

// behind says why what is answered may be too old; nil: it is not.
func (f *Follower) behind() error {
	switch entries, since := f.lag(); {
	case f.seen.Load() == 0:
		return fmt.Errorf("%s was not heard of since the start", f.config.Follow)
	case since > f.config.MaxLag:
		return fmt.Errorf("%s was heard of last %v ago (max_lag is %v)", f.config.Follow, since.Round(time.Second), f.config.MaxLag)
	case entries > indexLag:
		return fmt.Errorf("%d entries of the ledger are not indexed yet", entries)
	}
	return nil
}

// follows are the metrics of a follower.
type follows struct{ *Follower }

var (
	followLag  = prometheus.NewDesc("repronet_follow_lag_entries", "Entries that the followed ledger was seen with and that are not indexed here.", nil, nil)
	followSeen = prometheus.NewDesc("repronet_follow_seen_seconds", "How long ago the followed ledger was seen last.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (follows) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- followLag
	descriptions <- followSeen
}

// Collect implements [prometheus.Collector].
func (f follows) Collect(metrics chan<- prometheus.Metric) {
	if f.seen.Load() == 0 {
		return
	}
	entries, since := f.lag()
	metrics <- prometheus.MustNewConstMetric(followLag, prometheus.GaugeValue, float64(entries))
	metrics <- prometheus.MustNewConstMetric(followSeen, prometheus.GaugeValue, since.Seconds())
}

// Close closes everything, in reverse order.
func (f *Follower) Close() error {
	var err error
	if f.keeper != nil && f.store != nil {
		err = f.keeper.close()
	}
	if f.replica != nil {
		err = errors.Join(err, f.replica.Close())
	}
	f.writer.Close()
	return err
}
