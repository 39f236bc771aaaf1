package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"repronet.dev/aggregator/admin"
)

// SocketPath is where the server of a data directory takes administrative calls.
func SocketPath(data string) string { return filepath.Join(data, "admin.sock") }

// adminPatience is how long calls that are being done go on once the server is to stop.
// Then their contexts end; what was written to the ledger by then is complete.
const adminPatience = 5 * time.Second

// serveAdmin takes administrative calls on the socket, which only the owner of the data
// directory can open. When ctx ends it takes no more and waits for those that are being
// done. A call waits until ready is closed: until then the roster is not complete.
func (a *Aggregator) serveAdmin(ctx context.Context, ready <-chan struct{}) error {
	path := SocketPath(a.config.Data)
	// The ledger's lock says that no other server lives: what is there is left over.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("opening the admin socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("opening the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           admin.Handler(whenReady{a.Administration(), ready}),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return work },
	}
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(adminPatience):
			end()
		case <-work.Done():
		}
	})()
	if err := serveUntil(ctx, server, l); err != nil {
		return fmt.Errorf("serving the admin socket: %w", err)
	}
	return nil
}

// whenReady has calls wait.
type whenReady struct {
	next  admin.Caller
	ready <-chan struct{}
}

// Call implements [admin.Caller].
func (w whenReady) Call(ctx context.Context, name string, request json.RawMessage, streams admin.Streams) (json.RawMessage, error) {
	select {
	case <-w.ready:
		return w.next.Call(ctx, name, request, streams)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cannotListen says in a sentence why an address cannot be listened on.
func cannotListen(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program listens on %s already: stop it, or choose another address (setting listen)", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s: choose a port of 1024 or above (setting listen), and let a proxy have the port below", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s: choose one that it has, or 0.0.0.0 for all (setting listen)", address)
	default:
		return fmt.Errorf("listening on %s: %w", address, err)
	}
}
