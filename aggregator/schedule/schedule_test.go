package schedule

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// start runs jobs until stop, which waits for the end.
func start(t *testing.T, jobs []Job) (s *Scheduler, stop func()) {
	t.Helper()
	s, err := New(jobs, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	return s, func() { cancel(); <-done }
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow int
		jobs := []Job{
			{Name: "good", Schedule: "@every 1m", Timeout: time.Minute, Run: func(context.Context) error { return nil }},
			{Name: "bad", Schedule: "@every 1m", Timeout: time.Minute, Run: func(context.Context) error { return errors.New("no luck") }},
			{Name: "panics", Schedule: "@every 1m", Timeout: time.Minute, Run: func(context.Context) error { panic("oh") }},
			{Name: "endless", Schedule: "@every 1m", Timeout: 10 * time.Second, Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{Name: "slow", Schedule: "@every 1m", Timeout: time.Hour, Run: func(ctx context.Context) error {
				slow++
				select {
				case <-time.After(150 * time.Second):
				case <-ctx.Done():
				}
				return nil
			}},
		}
		s, stop := start(t, jobs)
		time.Sleep(150 * time.Second)
		synctest.Wait()

		want := map[string]string{"good": "", "bad": "no luck", "panics": "panic: oh", "endless": "context deadline exceeded", "slow": ""}
		for _, state := range s.States() {
			if !strings.HasPrefix(state.Err, want[state.Name]) || (want[state.Name] == "") != (state.Err == "") {
				t.Errorf("%s: error %q, want %q", state.Name, state.Err, want[state.Name])
			}
			if running := state.Name == "slow"; state.Running != running || state.Last.IsZero() != running {
				t.Errorf("%s: running %v, last run %v", state.Name, state.Running, state.Last)
			}
			if !state.Next.After(time.Now()) {
				t.Errorf("%s: next run %v is not in the future", state.Name, state.Next)
			}
		}
		if slow != 1 {
			t.Errorf("the slow job began %d times, want 1: its second run is due while the first goes on", slow)
		}
		stop()
	})
}

// A job that takes long is done seldom; one that became quick again is done often
// again.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := 20 * time.Second
		var begun []int // minutes
		begin := time.Now()
		jobs := []Job{{Name: "heavy", Schedule: "@every 1m", Timeout: time.Hour, Rest: 9, Run: func(context.Context) error {
			begun = append(begun, int(time.Since(begin).Round(time.Minute)/time.Minute))
			time.Sleep(takes)
			takes = time.Second
			return nil
		}}}
		s, stop := start(t, jobs)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if got := s.States()[0].Next.Sub(begin).Round(time.Minute); got != 5*time.Minute {
			t.Errorf("after 20 s the next run is shown for %v, want 5m: nine times as long later", got)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if want := []int{1, 5, 6}; !slices.Equal(begun, want) {
			t.Errorf("began in the minutes %v, want %v", begun, want)
		}
		stop()
	})
}

func TestScheduleRefusesNonsense(t *testing.T) {
	_, err := New([]Job{{Name: "x", Schedule: "whenever"}}, slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "scheduling x") {
		t.Fatalf("error %v, want one that names the job", err)
	}
}
