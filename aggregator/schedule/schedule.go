// Package schedule runs the aggregator's periodic jobs: each bounded in time,
// never twice at once, and with what became of its last run kept to be shown.
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
)

// A Job is something to do again and again.
type Job struct {
	Name     string // for people and for the metrics' label
	Schedule string // as robfig/cron reads it: "@every 1m", "17 3 * * *" (UTC)
	Timeout  time.Duration
	Run      func(ctx context.Context) error
	// Rest bounds what the job takes of the machine: after a run it rests for that
	// many times as long as the run took, and passes over what is due in between.
	Rest int
}

// State is what became of a job.
type State struct {
	Name, Schedule string
	Running        bool
	Last           time.Time // begin of the last run that ended; zero before
	Duration       time.Duration
	Err            string // of the last run, "" if it went well
	Next           time.Time
}

// A Scheduler runs jobs. Its zero value does not work; use [New].
type Scheduler struct {
	cron   *cron.Cron
	logger *slog.Logger
	runs   *prometheus.CounterVec
	ctx    context.Context // of Run; jobs end with it
	jobs   []Job
	ids    []cron.EntryID
	mu     sync.Mutex // guards states
	states []State
}

// New returns a scheduler for jobs. A schedule that cannot be read is an error.
func New(jobs []Job, logger *slog.Logger, registry prometheus.Registerer) (*Scheduler, error) {
	s := &Scheduler{
		cron:   cron.New(cron.WithLocation(time.UTC)),
		logger: logger,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_job_runs_total", Help: "Runs of periodic jobs, by job and how they ended.",
		}, []string{"job", "result"}),
		jobs:   jobs,
		states: make([]State, len(jobs)),
	}
	if registry != nil {
		registry.MustRegister(s.runs)
	}
	for i, job := range jobs {
		s.states[i] = State{Name: job.Name, Schedule: job.Schedule}
		id, err := s.cron.AddFunc(job.Schedule, func() { s.run(i, job) })
		if err != nil {
			return nil, fmt.Errorf("scheduling %s: %w", job.Name, err)
		}
		s.ids = append(s.ids, id)
	}
	return s, nil
}

// Check reports why a schedule cannot be read.
func Check(schedule string) error {
	_, err := cron.ParseStandard(schedule)
	return err
}

// Next returns the first time after another, in UTC, at which a schedule is due.
func Next(schedule string, after time.Time) (time.Time, error) {
	parsed, err := cron.ParseStandard(schedule)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading schedule %q: %w", schedule, err)
	}
	return parsed.Next(after.UTC()), nil
}

// Run starts the schedule, waits for ctx to end, and then for the jobs that run.
func (s *Scheduler) Run(ctx context.Context) {
	s.ctx = ctx
	s.cron.Start()
	<-ctx.Done()
	<-s.cron.Stop().Done()
}

// States returns what became of the jobs, in their order.
func (s *Scheduler) States() []State {
	s.mu.Lock()
	states := slices.Clone(s.states)
	s.mu.Unlock()
	for i, id := range s.ids {
		entry := s.cron.Entry(id)
		rested := states[i].rested(s.jobs[i])
		for states[i].Next = entry.Next; states[i].Next.Before(rested); {
			states[i].Next = entry.Schedule.Next(states[i].Next)
		}
	}
	return states
}

// rested returns when a job has rested from its last run.
func (s *State) rested(job Job) time.Time {
	return s.Last.Add(time.Duration(1+job.Rest) * s.Duration)
}

// run runs a job, unless it rests, it is running already or the scheduler is
// stopping.
func (s *Scheduler) run(i int, job Job) {
	begin := time.Now()
	s.mu.Lock()
	busy, rests := s.states[i].Running, begin.Before(s.states[i].rested(job))
	s.states[i].Running = busy || !rests
	s.mu.Unlock()
	if rests {
		return
	}
	if busy {
		s.runs.WithLabelValues(job.Name, "skipped").Inc()
		s.logger.Warn("job still runs, skipping a run", "job", job.Name)
		return
	}
	err := s.guarded(job)
	s.mu.Lock()
	defer s.mu.Unlock()
	state := &s.states[i]
	state.Running, state.Last, state.Duration, state.Err = false, begin, time.Since(begin), ""
	if err == nil {
		s.runs.WithLabelValues(job.Name, "ok").Inc()
		return
	}
	state.Err = err.Error()
	s.runs.WithLabelValues(job.Name, "error").Inc()
	s.logger.Error("job went wrong", "job", job.Name, "error", err)
}

// guarded turns a panic of one job into its error: the others go on.
func (s *Scheduler) guarded(job Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(s.ctx, job.Timeout)
	defer cancel()
	return job.Run(ctx)
}
