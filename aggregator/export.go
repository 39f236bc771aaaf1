package aggregator

import (
	"bufio"
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"repronet/aggregator/index"
	"repronet/aggregator/store"
	"repronet/divergence"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/ledger"
)

// An exporter publishes all verdicts and their history, for those who computed
// them by themselves. An export reads the whole index: there are few at a time.
type exporter struct {
	store *store.Store
	index *index.Index
	busy  chan struct{}
	log   func(ctx context.Context, err error)
}

const (
	maxExports = 2
	// exportSlice is how many outputs are looked up at a time.
	exportSlice = 8192
	// exportStall bounds the writing of a slice, in place of the bound of other
	// answers.
	exportStall = time.Minute
	// exportPatience bounds the wait for the batch that is being indexed.
	exportPatience = 20 * time.Second
)

func (a *Aggregator) registerExport(router gin.IRouter) {
	e := &exporter{a.store, a.index, make(chan struct{}, maxExports), func(ctx context.Context, err error) {
		a.deps.Logger.ErrorContext(ctx, "exporting verdicts", "error", err)
	}}
	router.GET(wire.ExportVerdictsPath, func(c *gin.Context) { e.serve(c, exportVerdicts) })
	router.GET(wire.ExportChangesPath, func(c *gin.Context) { e.serve(c, exportChanges) })
}

// A snapshot is the index at one watermark.
type snapshot struct {
	tables *store.Tables
	size   uint64
	roster *enrolment.Roster
	next   func() (*store.State, error, bool)
	first  *store.State // nil: there are none
	close  func()
}

var errOtherSize = errors.New("the index covers another number of entries")

// open begins to read the index while it is at rest.
func (e *exporter) open(ctx context.Context, size *uint64) (*snapshot, error) {
	s := &snapshot{close: func() {}}
	patience, cancel := context.WithTimeout(ctx, exportPatience)
	defer cancel()
	err := e.index.AtRest(patience, func() error {
		tables, release := e.store.Acquire()
		s.tables, s.close = tables, release
		watermark, err := tables.Watermark(ctx)
		if err != nil {
			return err
		}
		s.size = watermark.Size
		if size != nil && *size != s.size {
			return errOtherSize
		}
		next, stop := iter.Pull2(tables.OrderedStates(ctx))
		s.next, s.close = next, func() { stop(); release() }
		s.first, err, _ = next()
		return err
	})
	if err == nil {
		s.roster, err = rosterOf(ctx, s.tables, s.size)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func rosterOf(ctx context.Context, tables *store.Tables, size uint64) (*enrolment.Roster, error) {
	roster := enrolment.NewRoster()
	entries, err := tables.Roster(ctx, size)
	for _, entry := range entries {
		if err == nil {
			_, _, err = roster.Apply(entry.Index, ledger.Kind(entry.Kind), entry.Body)
		}
	}
	return roster, err
}

// slices yields all states, some at a time.
func (s *snapshot) slices() iter.Seq2[[]*store.State, error] {
	return func(yield func([]*store.State, error) bool) {
		var states []*store.State
		for state, ok := s.first, s.first != nil; ok; {
			if states = append(states, state); len(states) == exportSlice {
				if !yield(states, nil) {
					return
				}
				states = states[:0]
			}
			var err error
			if state, err, ok = s.next(); err != nil {
				yield(nil, err)
				return
			}
		}
		if len(states) > 0 {
			yield(states, nil)
		}
	}
}

// export writes what is exported of some outputs.
type export func(ctx context.Context, s *snapshot, states []*store.State, names map[uint32]store.OutputName, write func(any) error) error

func exportVerdicts(_ context.Context, s *snapshot, states []*store.State, names map[uint32]store.OutputName, write func(any) error) error {
	for _, state := range states {
		name := names[state.Output]
		j := divergence.Judge(&state.Claims, s.roster)
		j.Verdict = state.Verdict // what every other answer says
		if err := write(wire.NewExportedVerdict(name.Ecosystem, name.Key, j)); err != nil {
			return err
		}
	}
	return nil
}

func exportChanges(ctx context.Context, s *snapshot, states []*store.State, names map[uint32]store.OutputName, write func(any) error) error {
	changes, err := s.tables.ChangesBefore(ctx, numbers(states), s.size)
	if err != nil {
		return err
	}
	for _, state := range states {
		name := names[state.Output]
		for _, c := range changes[state.Output] {
			if err := write(wire.ExportedChange{
				Ecosystem: name.Ecosystem, Output: name.Key, Index: c.Index, From: c.Old.String(), To: c.New.String(),
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func numbers(states []*store.State) []uint32 {
	list := make([]uint32, len(states))
	for i, s := range states {
		list[i] = s.Output
	}
	return list
}

func (e *exporter) serve(c *gin.Context, export export) {
	var size *uint64
	if text := c.Query("size"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			refuse(c, wire.NewProblem(http.StatusBadRequest, "bad-request", "size is a number of ledger entries."))
			return
		}
		size = &n
	}
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	default:
		c.Header("Retry-After", "30")
		refuse(c, wire.NewProblem(http.StatusServiceUnavailable, "try-later", "Others are exporting: ask again later."))
		return
	}
	s, err := e.open(c.Request.Context(), size)
	switch {
	case errors.Is(err, errOtherSize):
		refuse(c, wire.NewProblem(http.StatusConflict, "other-size", "The index covers another number of ledger entries now: begin again."))
		return
	case err != nil:
		e.log(c, err)
		c.Header("Retry-After", "30")
		refuse(c, wire.NewProblem(http.StatusServiceUnavailable, "try-later", "The index cannot be read now: ask again later."))
		return
	}
	defer s.close()
	c.Header("Content-Type", "application/jsonl")
	c.Header("Access-Control-Allow-Origin", "*")
	c.Header(wire.IndexedHeader, strconv.FormatUint(s.size, 10))
	c.Status(http.StatusOK)
	if err := e.stream(c, s, export); err != nil {
		e.log(c, err)
		panic(http.ErrAbortHandler) // half an export must not look like a whole one
	}
}

func (e *exporter) stream(c *gin.Context, s *snapshot, export export) error {
	deadline := http.NewResponseController(c.Writer)
	buffered := bufio.NewWriterSize(c.Writer, 1<<16)
	write := func(line any) error {
		if err := json.MarshalWrite(buffered, line); err != nil {
			return err
		}
		return buffered.WriteByte('\n')
	}
	for states, err := range s.slices() {
		if err != nil {
			return err
		}
		if err := deadline.SetWriteDeadline(time.Now().Add(exportStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		names, err := s.tables.Names(c, numbers(states))
		if err != nil {
			return err
		}
		if err := export(c, s, states, names, write); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// refuse answers with a problem document.
func refuse(c *gin.Context, problem *wire.Problem) {
	c.Header("Content-Type", "application/problem+json")
	c.JSON(problem.Status, problem)
}
