package aggregator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
)

// A sleeper is a client that takes nothing until it is woken or has left.
type sleeper struct {
	*httptest.ResponseRecorder
	asleep chan struct{} // closed when the first bytes wait for it
	wake   chan struct{}
	left   <-chan struct{}
}

func (s *sleeper) Write(data []byte) (int, error) {
	if s.Body.Len() == 0 {
		close(s.asleep)
	}
	select {
	case <-s.wake:
		return s.ResponseRecorder.Write(data)
	case <-s.left:
		return 0, errors.New("the connection was closed")
	}
}

// export asks for all verdicts, as a client that falls asleep. What comes back when
// the answer has ended is how the handler ended.
func (w *world) export(ctx context.Context, server *web.Server) (*sleeper, <-chan any) {
	client := &sleeper{httptest.NewRecorder(), make(chan struct{}), make(chan struct{}), ctx.Done()}
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		server.ServeHTTP(client, httptest.NewRequestWithContext(ctx, http.MethodGet, api.ExportVerdictsPath, nil))
	}()
	return client, ended
}

func (w *world) exports() *web.Server {
	server, err := web.New(web.Config{Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)), TempDir: w.t.TempDir()},
		web.Parts{Exports: &exporter{w.store, w.index}})
	if err != nil {
		w.t.Fatal(err)
	}
	return server
}

// TestSlowExport indexes, makes the index anew and exports to others while a client
// sleeps. When it wakes up it gets what there was.
func TestSlowExport(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	server := w.exports()
	client, ended := w.export(t.Context(), server)
	<-client.asleep

	done := make(chan error, 1)
	go func() { done <- w.index.Reindex(t.Context()) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		close(client.wake)
		t.Fatal("a client that sleeps keeps the index from being made anew")
	}
	w.attest(w.enrol("later"), 0, 10, 7)
	w.settle()
	other, otherEnded := w.export(t.Context(), server)
	close(other.wake)
	if reason := <-otherEnded; reason != nil || other.Code != http.StatusOK {
		t.Fatalf("another client: status %d, %v", other.Code, reason)
	}

	close(client.wake)
	if reason := <-ended; reason != nil {
		t.Fatalf("the answer ended in %v", reason)
	}
	before, after := client.Body.String(), other.Body.String()
	if n := strings.Count(before, "\n"); n != strings.Count(after, "\n") || n < 100 {
		t.Errorf("%d lines before, %d after", n, strings.Count(after, "\n"))
	}
	if before == after {
		t.Error("the client that slept got what came later")
	}
}

// TestExportLeft leaves in the middle: that ends the reading too.
func TestExportLeft(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	server := w.exports()
	for range 10 { // more often than there are places
		ctx, leave := context.WithCancel(t.Context())
		client, ended := w.export(ctx, server)
		<-client.asleep
		leave()
		if reason := <-ended; reason != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			t.Errorf("the handler ended in %v", reason)
		}
		if client.Code != http.StatusOK {
			t.Errorf("status %d", client.Code)
		}
	}
}
