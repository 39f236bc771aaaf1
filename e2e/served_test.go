package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/api"
	"repronet.dev/internal/chdb/servertest"
)

// TestServed keeps the index in a ClickHouse server, over each protocol and with the rights
// that docs/operators.md grants, and has the server fail in the ways in which servers do.
// Submissions are taken meanwhile, pages say what is the matter, and the index goes on when
// the server does.
func TestServed(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]clickhouse.Protocol{"native": clickhouse.Native, "http": clickhouse.HTTP} {
		t.Run(name, func(t *testing.T) {
			database := servertest.Start(t)
			f := newFaulty(t, "256m", "--clickhouse", database.URL(protocol, "repronet"))
			f.taken()
			indexedAll(f)
			for _, fault := range []struct {
				name       string
				begin, end func() error
				says       string // on a page, until it is over; "" for pages that are as before
			}{
				{"it is away", database.Stop, database.Restart, "index"},
				{"it restarts", func() error { return errorsOf(database.Stop, database.Restart) }, nothing, ""},
				{"it may only be read", limited(database, "<readonly>1</readonly>"), limited(database, ""), ""},
				{"it has no memory", limited(database, "<max_memory_usage>1000</max_memory_usage>"), limited(database, ""), "index"},
			} {
				if !t.Run(fault.name, func(t *testing.T) {
					outer := f.t
					f.t = t
					defer func() { f.t = outer }()
					if err := fault.begin(); err != nil {
						t.Fatal(err)
					}
					f.taken()
					if fault.says != "" {
						f.refuses(fault.says)
					}
					if err := fault.end(); err != nil {
						t.Fatal(err)
					}
					f.taken()
					f.continues()
					f.indexDone()
					indexedAll(f)
				}) {
					return
				}
			}
			t.Run("it answers late", func(t *testing.T) {
				resume, err := database.Pause()
				if err != nil {
					t.Fatal(err)
				}
				f.taken()
				time.Sleep(3 * time.Second)
				if err := resume(); err != nil {
					t.Fatal(err)
				}
				f.taken()
				f.indexDone()
				indexedAll(f)
			})
			f.whole()
		})
	}
}

func nothing() error { return nil }

// errorsOf calls functions until one fails.
func errorsOf(functions ...func() error) error {
	for _, f := range functions {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// limited starts a server anew, with limits for its user.
func limited(s *servertest.Server, profile string) func() error {
	return func() error {
		return errorsOf(s.Stop, func() error { return s.Limit(profile) }, s.Restart)
	}
}

// refuses waits until the overview is not there, and looks for a text in what is said.
func (f *faulty) refuses(text string) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		_, err := fetch(f.t.Context(), f.URL+api.SummaryPath)
		if err != nil && strings.Contains(err.Error(), "503") && strings.Contains(err.Error(), text) {
			f.t.Log(err)
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the page's error is %v, want 503 with %q", err, text)
		}
	}
}
