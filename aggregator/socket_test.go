package aggregator

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/enrolment"
)

// TestStopWaitsForCalls: a server that stops finishes the calls that it has begun.
func TestStopWaitsForCalls(t *testing.T) {
	a := &Aggregator{view: view{config: Config{Data: t.TempDir()}}, roster: enrolment.NewRoster()}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.serveAdmin(ctx, ready) }()
	var server admin.Caller
	for server == nil {
		var err error
		if server, err = admin.Dial(t.Context(), SocketPath(a.config.Data)); err != nil && !errors.Is(err, admin.ErrNoServer) {
			t.Fatal(err)
		}
	}
	answered := make(chan error, 1)
	go func() {
		_, err := admin.Builders.Do(t.Context(), server, admin.None{})
		answered <- err
	}()
	time.Sleep(200 * time.Millisecond) // the call waits for the ledger to be read
	stop()
	select {
	case err := <-ended:
		t.Fatalf("the server did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := admin.Builders.Do(t.Context(), server, admin.None{}); err == nil {
		t.Error("a server that stops takes another call")
	}
	close(ready)
	if err := <-answered; err != nil {
		t.Errorf("the call that was begun: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server: %v", err)
	}
}

// TestStopEndsLongCalls: a call that would take for ever is told to end.
func TestStopEndsLongCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for adminPatience")
	}
	a := &Aggregator{view: view{config: Config{Data: t.TempDir()}}, roster: enrolment.NewRoster()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.serveAdmin(ctx, make(chan struct{})) }() // never ready
	var server admin.Caller
	for server == nil {
		server, _ = admin.Dial(t.Context(), SocketPath(a.config.Data))
	}
	answered := make(chan error, 1)
	go func() {
		_, err := admin.Builders.Do(t.Context(), server, admin.None{})
		answered <- err
	}()
	time.Sleep(200 * time.Millisecond)
	stop()
	if err := <-answered; err == nil {
		t.Error("the call was answered")
	}
	if err := <-ended; err != nil {
		t.Errorf("the server: %v", err)
	}
}

func TestCannotListen(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EADDRINUSE: "another program listens on :80 already: stop it, or choose another address (setting listen)",
		syscall.EACCES:     "this user may not listen on :80: choose a port of 1024 or above (setting listen), and let a proxy have the port below",
	} {
		if got := cannotListen(":80", errno).Error(); got != want {
			t.Errorf("%v:\n got %s\nwant %s", errno, got, want)
		}
	}
}
