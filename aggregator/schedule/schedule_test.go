package schedule

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow int
		jobs := []Job{
			{"good", "@every 1m", time.Minute, func(context.Context) error { return nil }},
			{"bad", "@every 1m", time.Minute, func(context.Context) error { return errors.New("no luck") }},
			{"panics", "@every 1m", time.Minute, func(context.Context) error { panic("oh") }},
			{"endless", "@every 1m", 10 * time.Second, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			{"slow", "@every 1m", time.Hour, func(ctx context.Context) error {
				slow++
				select {
				case <-time.After(150 * time.Second):
				case <-ctx.Done():
				}
				return nil
			}},
		}
		s, err := New(jobs, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
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
		cancel()
		<-done
	})
}

func TestScheduleRefusesNonsense(t *testing.T) {
	_, err := New([]Job{{Name: "x", Schedule: "whenever"}}, slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "scheduling x") {
		t.Fatalf("error %v, want one that names the job", err)
	}
}
