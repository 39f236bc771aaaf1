package e2e

import (
	"io"
	"net/http"
	"net/url"
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
			t.Run("strangers' SQL is not sent to it", func(t *testing.T) { askedBeside(t, f, database.Address(protocol)) })
			f.whole()
		})
	}
}

// askedBeside asks in SQL for what a snapshot has, and for what the ClickHouse server beside it has.
func askedBeside(t *testing.T, f *faulty, address string) {
	if _, err := f.Command(t.Context(), "snapshot"); err != nil {
		t.Fatal(err)
	}
	ask := func(q string) (int, string) {
		t.Helper()
		response, err := http.Get(f.URL + api.SQLPath + "?" + url.Values{"format": {"csv"}, "q": {q}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(answer)
	}
	if status, answer := ask("SELECT count() > 0 AS some, uniqExact(output) = count(DISTINCT output) AS same FROM observations"); status != http.StatusOK || !strings.Contains(answer, "true,true") && !strings.Contains(answer, "1,1") {
		t.Errorf("%d, %s", status, answer)
	}
	for _, attack := range []string{
		"SELECT * FROM remote('" + address + "', 'repronet', 'observations', '" + servertest.User + "', '" + servertest.UserPassword + "')",
		"SELECT * FROM url('http://" + address + "/?query=SELECT+1', LineAsString)",
		"SELECT * FROM repronet.watermark",
		"SELECT * FROM system.processes",
		"SELECT 1; DROP DATABASE repronet",
	} {
		if status, answer := ask(attack); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d, %s", attack, status, answer)
		}
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
