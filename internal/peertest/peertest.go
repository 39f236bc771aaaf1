// Package peertest plays hostile peers, for tests of those who fetch from them: one
// that never answers, one that answers drop by drop, one that answers without end,
// and one that sends the caller elsewhere for ever.
package peertest

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A Peer says what the answers look like.
type Peer struct {
	Header http.Header // such as the right Content-Type
	Body   string      // is repeated; "x" if empty
	// Most is how many bytes of an answer the caller may read.
	Most int64
}

const (
	// Patience is the timeout that callers are to be given.
	Patience = 500 * time.Millisecond
	// waited is how long a caller may take altogether: it may try again.
	waited = 15 * time.Second
	// underWay is what the network takes without being read.
	underWay = 16 << 20
)

// Client returns a client with little patience.
func Client() *http.Client { return &http.Client{Timeout: Patience} }

// Survive has ask fetch from each peer in turn, by its address. It must come back with
// an error, soon, and without having read more than it may.
func (p Peer) Survive(t *testing.T, ask func(base string) error) {
	t.Helper()
	if p.Body == "" {
		p.Body = "x"
	}
	chunk := make([]byte, 0, 64<<10)
	for len(chunk) < 32<<10 {
		chunk = append(chunk, p.Body...)
	}
	for name, serve := range map[string]func(w http.ResponseWriter, r *http.Request, served *atomic.Int64){
		"silent": func(_ http.ResponseWriter, r *http.Request, _ *atomic.Int64) { <-r.Context().Done() },
		"drop by drop": func(w http.ResponseWriter, r *http.Request, _ *atomic.Int64) {
			for i := 0; r.Context().Err() == nil; i++ {
				if _, err := w.Write([]byte{chunk[i%len(chunk)]}); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		},
		"endless": func(w http.ResponseWriter, r *http.Request, served *atomic.Int64) {
			for r.Context().Err() == nil {
				n, err := w.Write(chunk)
				served.Add(int64(n))
				if err != nil {
					return
				}
			}
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request, _ *atomic.Int64) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// Until its body is read, a server does not notice that a request's sender goes.
				_, _ = io.Copy(io.Discard, r.Body)
				maps.Copy(w.Header(), p.Header)
				serve(w, r, &served)
			}))
			begin := time.Now()
			err := ask(server.URL)
			took := time.Since(begin)
			server.CloseClientConnections()
			server.Close()
			if err == nil {
				t.Error("the answer was taken for one")
			}
			// What is endless is bounded in bytes, which take as long as the machine needs for them.
			if took > waited && name != "endless" {
				t.Errorf("it took %v: %v", took, err)
			}
			if n := served.Load(); n > p.Most+underWay {
				t.Errorf("%d bytes were sent, %d may be read: %v", n, p.Most, err)
			}
		})
	}
}
