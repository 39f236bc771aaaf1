package aggregator

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator/conns"
)

// TestShutdownWaitsForNobodyOutside: a body that does not arrive and an answer that is
// not read keep a server from ending for shutdownPatience at most; what was submitted is
// answered meanwhile.
func TestShutdownWaitsForNobodyOutside(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, submitted := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if _, err := io.ReadAll(r.Body); err != nil {
			return
		}
		if r.Method == http.MethodPost {
			<-submitted
			_, _ = io.WriteString(w, "taken")
			return
		}
		for piece := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, handler, conns.New(conns.Config{}), slog.New(slog.DiscardHandler)) }()

	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", // and reads nothing
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
	} {
		stranger, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if _, err := io.WriteString(stranger, text); err != nil {
			t.Fatal(err)
		}
		<-begun
	}
	answered := make(chan string, 1)
	go func() {
		response, err := http.Post("http://"+l.Addr().String(), "text/plain", strings.NewReader("all of it"))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		answered <- string(text)
	}()
	<-begun
	begin := time.Now()
	stop()
	time.AfterFunc(shutdownPatience+500*time.Millisecond, func() { close(submitted) })
	if got := <-answered; got != "taken" {
		t.Errorf("what was submitted got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > shutdownTimeout/2 {
		t.Errorf("it took %v", took)
	}
}
