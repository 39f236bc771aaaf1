package http_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
)

// A console answers with the question, at once or when it is told to.
type console struct {
	asked  chan string   // gets each question that has begun, if it is not nil
	answer chan struct{} // closed to have them answered
}

func (c *console) Limits() string { return "seconds=20" }

func (c *console) Next() (*api.SQLAnswer, error) {
	return &api.SQLAnswer{Snapshot: "12", Indexed: 12}, nil
}

func (c *console) Ask(ctx context.Context, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error) {
	if asked.SQL == "refused" {
		return nil, api.NewProblem(api.ProblemQueryRefused, "Line 1, column 1: a query begins with SELECT or WITH.")
	}
	if c.asked != nil {
		c.asked <- asked.SQL
		select {
		case <-c.answer:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if asked.SQL == "large" {
		_, err := to.Write(make([]byte, 1<<20))
		return &api.SQLAnswer{Snapshot: "12", Indexed: 12}, err
	}
	_, err := io.WriteString(to, `{"meta":[{"name":"1","type":"UInt8"}],"data":[[1]],"rows":1}`)
	return &api.SQLAnswer{Snapshot: "12", Indexed: 12}, err
}

func serveSQL(t *testing.T, c *console) *web.Server {
	t.Helper()
	return serveParts(t, slog.New(slog.DiscardHandler), web.Parts{Source: sample(), SQL: c})
}

func sqlURL(values ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		query.Set(values[i], values[i+1])
	}
	return api.SQLPath + "?" + query.Encode()
}

// TestSQL: what comes back says what it is of, in which format, and what it may cost; who has
// it already is told so.
func TestSQL(t *testing.T) {
	engine := serveSQL(t, &console{})
	document := document(t, engine)
	for _, format := range append(api.SQLFormats(), "") {
		media := format.MediaType()
		path := sqlURL("q", "SELECT 1", "format", string(format))
		if format == "" {
			media, path = "application/json", sqlURL("q", "SELECT 1")
		}
		response := get(t, engine, path)
		body := text(t, response)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != media || !strings.HasPrefix(body, `{"meta"`) {
			t.Fatalf("%q: %s, %s: %s", format, response.Status, response.Header.Get("Content-Type"), body)
		}
		for name, want := range map[string]string{api.IndexedHeader: "12", api.SnapshotHeader: "12", api.SQLLimitsHeader: "seconds=20", "Access-Control-Allow-Origin": "*"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%q: %s is %q, want %q", format, name, got, want)
			}
		}
		if media == "application/json" {
			document.Check(t, "GET "+api.SQLPath, response, []byte(body))
		}
		if again := get(t, engine, path, "If-None-Match", response.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%q again: %s", format, again.Status)
		}
		if head := request(t, engine, http.MethodHead, path, nil); head.StatusCode != http.StatusOK || head.Header.Get("ETag") != response.Header.Get("ETag") || text(t, head) != "" {
			t.Errorf("%q: HEAD: %s", format, head.Status)
		}
	}
	posted := request(t, engine, http.MethodPost, api.SQLPath+"?format=csv", strings.NewReader("SELECT 1"), "Content-Type", "application/sql")
	if body := text(t, posted); posted.StatusCode != http.StatusOK || !strings.HasPrefix(body, `{"meta"`) {
		t.Errorf("posted: %s: %s", posted.Status, body)
	}
}

// TestSQLRefuses: each wrong request is a problem that says what is wrong.
func TestSQLRefuses(t *testing.T) {
	with, without := serveSQL(t, &console{}), serve(t, sample())
	for _, test := range []struct {
		engine            http.Handler
		method, url, body string
		kind              api.ProblemKind
	}{
		{with, http.MethodGet, sqlURL("q", "refused"), "", api.ProblemQueryRefused},
		{with, http.MethodGet, sqlURL("q", "SELECT 1", "format", "xml"), "", api.ProblemInvalidParameter},
		{with, http.MethodGet, sqlURL("q", "SELECT 1", "max_memory_usage", "0"), "", api.ProblemInvalidParameter},
		{with, http.MethodGet, api.SQLPath, "", api.ProblemInvalidParameter},
		{with, http.MethodPost, api.SQLPath, "", api.ProblemInvalidParameter},
		{with, http.MethodPost, sqlURL("q", "SELECT 1"), "SELECT 2", api.ProblemInvalidParameter},
		{with, http.MethodPost, api.SQLPath, strings.Repeat(" ", 1<<20), api.ProblemTooLarge},
		{without, http.MethodGet, sqlURL("q", "SELECT 1"), "", api.ProblemTryLater},
	} {
		response := request(t, test.engine, test.method, test.url, strings.NewReader(test.body))
		body := text(t, response)
		checkProblem(t, response, body)
		if !strings.Contains(body, "#"+string(test.kind)+`"`) {
			t.Errorf("%s %s: %s", test.method, test.url, body)
		}
	}
}

// TestSQLPlaces: one address cannot take all places, and who does not read a result holds none.
func TestSQLPlaces(t *testing.T) {
	c := &console{asked: make(chan string, 100), answer: make(chan struct{})}
	engine := serveSQL(t, c)
	first := ask(t.Context(), engine, "192.0.2.1", sqlURL("q", "first"))
	<-c.asked
	var waiting []<-chan *http.Response
	for range 3 + 4 { // the address may have three results under way
		waiting = append(waiting, ask(t.Context(), engine, "192.0.2.1", sqlURL("q", "second")))
	}
	turned, rest := 0, waiting
	for deadline := time.Now().Add(10 * time.Second); turned < 5 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		waiting, rest = rest, nil
		for _, w := range waiting {
			select {
			case r := <-w:
				turned++
				checkProblem(t, r, text(t, r))
				if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" {
					t.Errorf("turned away with %s", r.Status)
				}
			default:
				rest = append(rest, w)
			}
		}
	}
	other := ask(t.Context(), engine, "192.0.2.2", sqlURL("q", "other"))
	select {
	case asked := <-c.asked:
		if asked != "other" {
			t.Errorf("%q is answered before another address's", asked)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("another address gets no place")
	}
	close(c.answer)
	for _, answer := range append(rest, first, other) {
		if r := <-answer; r.StatusCode != http.StatusOK {
			t.Errorf("who had a place got %s", r.Status)
		}
	}
}

// TestSlowSQLReader: a result that is not read keeps nobody from asking.
func TestSlowSQLReader(t *testing.T) {
	engine := serveSQL(t, &console{})
	begun, left := make(chan struct{}), make(chan struct{})
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, sqlURL("q", "large"), nil)
		r.RemoteAddr = "192.0.2.1:1"
		engine.ServeHTTP(&stalled{httptest.NewRecorder(), begun, left}, r)
	}()
	<-begun
	for range 3 {
		if r := <-ask(t.Context(), engine, "192.0.2.1", sqlURL("q", "SELECT 1")); r.StatusCode != http.StatusOK {
			t.Errorf("beside a slow reader: %s", r.Status)
		}
	}
	close(left)
	if why := <-ended; !errors.Is(why.(error), http.ErrAbortHandler) {
		t.Errorf("the answer ended with %v", why)
	}
}
