package http_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
)

// A slowSource answers searches only when it is told to, or when the context ends.
type slowSource struct {
	dashboard.Source
	asked  chan string   // gets a value for each search that has begun
	ended  chan error    // and one for each that has ended
	answer chan struct{} // closed to have them answered
}

func (s *slowSource) Search(ctx context.Context, query dashboard.SearchQuery) (*dashboard.SearchPage, error) {
	s.asked <- query.Text
	var err error
	select {
	case <-s.answer:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.ended <- err
	return &dashboard.SearchPage{}, err
}

func newSlowSource() *slowSource {
	return &slowSource{sample(), make(chan string, 100), make(chan error, 100), make(chan struct{})}
}

// ask sends a GET from an address, and gives the answer when it is there.
func ask(ctx context.Context, h http.Handler, from, url string) <-chan *http.Response {
	answer := make(chan *http.Response, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		r.RemoteAddr = from + ":1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answer <- w.Result()
	}()
	return answer
}

// TestCostlyReads: one address cannot take all places; it is told so, while another is
// answered and what costs nothing is not held up.
func TestCostlyReads(t *testing.T) {
	source := newSlowSource()
	engine := serve(t, source)
	const share, waiting = 3, 64
	var answers []<-chan *http.Response
	for range share {
		answers = append(answers, ask(t.Context(), engine, "192.0.2.1", "/search?q=slow"))
		<-source.asked
	}
	var waiters []<-chan *http.Response
	for range waiting + 10 {
		waiters = append(waiters, ask(t.Context(), engine, "192.0.2.1", "/search?q=waiting"))
	}
	turned := 0
	for turned < 10 {
		for _, w := range waiters {
			select {
			case r := <-w:
				turned++
				if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" || !strings.Contains(text(t, r), "Not so many at once") {
					t.Fatalf("turned away with %s, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
				}
			default:
			}
		}
		time.Sleep(time.Millisecond)
	}
	for url, want := range map[string]int{"/healthz/live": 200, "/docs/api": 200, "/api/v1/summary": 200, "/": 200} {
		if r := <-ask(t.Context(), engine, "192.0.2.2", url); r.StatusCode != want {
			t.Errorf("another address gets %s for %s", r.Status, url)
		}
	}
	close(source.answer)
	for _, a := range answers {
		if r := <-a; r.StatusCode != http.StatusOK {
			t.Errorf("who had a place got %s", r.Status)
		}
	}
}

// TestGoneReader: the questions of a client that leaves end, and its place is free.
func TestGoneReader(t *testing.T) {
	source := newSlowSource()
	engine := serve(t, source)
	for range 10 { // more than there are places
		ctx, leave := context.WithCancel(t.Context())
		answer := ask(ctx, engine, "192.0.2.1", "/search?q=slow")
		<-source.asked
		leave()
		if err := <-source.ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("the search ended with %v", err)
		}
		<-answer
	}
}

// A stalled client takes no byte of its answer until it has left.
type stalled struct {
	*httptest.ResponseRecorder
	begun chan struct{} // gets a value when it is sent something
	left  chan struct{} // closed
}

func (s *stalled) Write([]byte) (int, error) {
	select {
	case s.begun <- struct{}{}:
		<-s.left
	case <-s.left:
	}
	return 0, errors.New("the connection was closed")
}

// TestStalledReaders: an answer that is not read takes no place.
func TestStalledReaders(t *testing.T) {
	engine := serve(t, sample())
	begun, left, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	const readers = 20
	for i := range readers {
		path := []string{"/", "/api/v1/divergences", "/search?q=openssl", "/builders"}[i%4]
		go func() {
			defer func() { ended <- struct{}{} }()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			engine.ServeHTTP(&stalled{httptest.NewRecorder(), begun, left}, r)
		}()
		select {
		case <-begun:
		case <-time.After(10 * time.Second):
			t.Fatalf("reader %d gets nothing, since those before do not read", i)
		}
	}
	close(left)
	for range readers {
		<-ended
	}
}

// A hugeSource answers a search with more than is kept for readers in any number.
type hugeSource struct{ dashboard.Source }

func (s hugeSource) ByDigest(ctx context.Context, digest attestation.Digest) ([]api.OutputRow, error) {
	rows, err := s.Source.ByDigest(ctx, digest)
	return slices.Repeat(rows, 1000), err
}

// TestUnreadAnswers: how many large answers wait in memory for their readers is bounded,
// and one address cannot have them all.
func TestUnreadAnswers(t *testing.T) {
	engine := serve(t, hugeSource{sample()})
	path := api.OutputsPath + "?digest=" + dashboardtest.Digest("hello-2.12.1").String()
	begun, left := make(chan struct{}), make(chan struct{})
	var readers sync.WaitGroup
	const share = 32
	for range share {
		readers.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.RemoteAddr = "192.0.2.1:1"
			engine.ServeHTTP(&stalled{httptest.NewRecorder(), begun, left}, r)
		})
		<-begun
	}
	refused := <-ask(t.Context(), engine, "192.0.2.1", path)
	body := text(t, refused)
	if refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") == "" || len(body) > 1000 {
		t.Errorf("the address with many unread answers gets %s, Retry-After %q, %.300q", refused.Status, refused.Header.Get("Retry-After"), body)
	}
	checkProblem(t, refused, body)
	if r := <-ask(t.Context(), engine, "192.0.2.2", path); r.StatusCode != http.StatusOK || len(text(t, r)) < 100_000 {
		t.Errorf("another address gets %s", r.Status)
	}
	close(left)
	readers.Wait()
	if r := <-ask(t.Context(), engine, "192.0.2.1", path); r.StatusCode != http.StatusOK {
		t.Errorf("after they were read: %s", r.Status)
	}
}

// TestFilterOfARevision: who has the filter of the newest revision is told so before
// anything is made.
func TestFilterOfARevision(t *testing.T) {
	made := 0
	engine := serveParts(t, slog.New(slog.DiscardHandler), web.Parts{Source: sample(), Filter: func(_ context.Context, set string) (*web.Filter, error) {
		if set != "set" {
			return nil, dashboard.ErrNotFound
		}
		return &web.Filter{Index: 7, Bytes: func(context.Context) ([]byte, error) { made++; return []byte("twelve bytes"), nil }}, nil
	}})
	first := get(t, engine, api.FilterPath("set"))
	if body := text(t, first); first.StatusCode != http.StatusOK || body != "twelve bytes" || made != 1 {
		t.Fatalf("%s: %q, made %d times", first.Status, body, made)
	}
	again := get(t, engine, api.FilterPath("set"), "If-None-Match", first.Header.Get("ETag"))
	if body := text(t, again); again.StatusCode != http.StatusNotModified || body != "" || made != 1 || again.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Errorf("%s: %q, made %d times", again.Status, body, made)
	}
	if r := get(t, engine, api.FilterPath("other")); r.StatusCode != http.StatusNotFound {
		t.Errorf("of a set that is not there: %s", r.Status)
	}
}
