package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
)

// dialTimeout is for connecting, where there is no connection, and for the
// server's agreement on a new stream.
const dialTimeout = 10 * time.Second

// Transport is an [http.RoundTripper] to one server. It listens on nothing, and
// its own peer ID is made anew with each Transport.
//
// It dials when a request asks for it and there is no connection, without any
// back-off: a caller that repeats a failed request waits in between, 5 seconds or
// more and with jitter. A connection on which the server no longer answers is
// given up by the request that finds it so, and the next request dials again.
type Transport struct {
	http   http.Transport
	swarm  *swarm.Swarm
	server peer.ID
}

// NewTransport makes a transport to the server at location, a multiaddr such as
// /dns4/repro.example.org/tcp/4001, that has the given peer ID. It does not
// connect.
func NewTransport(location, peerID string) (*Transport, error) {
	addr, err := ma.NewMultiaddr(location)
	if err != nil {
		return nil, fmt.Errorf("libp2p address %q: %w", location, err)
	}
	server, err := peer.Decode(peerID)
	if err != nil {
		return nil, fmt.Errorf("libp2p address: %q is no peer ID (%w): copy the address that the server printed", peerID, err)
	}
	key, err := newIdentity()
	if err != nil {
		return nil, err
	}
	s, err := newSwarm(key, &network.NullResourceManager{})
	if err != nil {
		return nil, err
	}
	s.Peerstore().AddAddr(server, addr, peerstore.PermanentAddrTTL)
	t := &Transport{swarm: s, server: server}
	t.http = http.Transport{
		DialContext:         t.dial,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
	}
	return t, nil
}

// BaseURL is what comes before the path in the URL of a request: http:// and the
// server's peer ID. Requests for any other host are refused.
func (t *Transport) BaseURL() string {
	return "http://" + t.server.String()
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" || r.URL.Host != t.server.String() {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("a libp2p client for %s was asked for %s://%s: the server must not redirect elsewhere", t.server, r.URL.Scheme, r.URL.Host)
	}
	return t.http.RoundTrip(r)
}

// CloseIdleConnections closes streams that no request uses. The server closes
// the connection under them after a while without any.
func (t *Transport) CloseIdleConnections() {
	t.http.CloseIdleConnections()
}

// Close closes all connections, and with them requests under way.
func (t *Transport) Close() error {
	t.http.CloseIdleConnections()
	return closeSwarm(t.swarm)
}

func (t *Transport) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// The swarm's own back-off would grow to five minutes and fail requests
	// without trying.
	t.swarm.Backoff().Clear(t.server)
	reused := t.swarm.Connectedness(t.server) == network.Connected
	c, err := t.open(ctx)
	if err != nil && reused && ctx.Err() == nil {
		// The server has closed the idle connection, which shows only now.
		return t.open(ctx)
	}
	return c, err
}

func (t *Transport) open(ctx context.Context) (net.Conn, error) {
	s, err := t.swarm.NewStream(ctx, t.server)
	if err != nil {
		return nil, fmt.Errorf("connecting to libp2p peer %s: %w", t.server, err)
	}
	if err := selectProtocol(ctx, s); err != nil {
		_ = reset(s)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			go s.Conn().Close() // dead; the swarm's Close waits for it
		}
		return nil, fmt.Errorf("opening a stream to libp2p peer %s: %w", t.server, err)
	}
	return newConn(s, func() error { return reset(s) }, func() {}), nil
}

// reset ends a stream and does not wait for that, as neither Close nor Reset end
// at once on a dead link: each waits for room in the connection's queue of
// frames, and with it would a request that has timed out. So does a Write, which
// only a deadline wakes. The swarm's Close waits for every stream to be gone.
func reset(s network.Stream) error {
	_ = s.SetDeadline(time.Now())
	go func() { _ = s.Reset() }()
	return nil
}

func selectProtocol(ctx context.Context, s network.Stream) error {
	stop := context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Now()) })
	err := multistream.SelectProtoOrFail(Protocol, s)
	if !stop() {
		return ctx.Err()
	}
	if _, unsupported := errors.AsType[multistream.ErrNotSupported[protocol.ID]](err); unsupported {
		return fmt.Errorf("it does not speak %s: is it a repronet aggregator?", Protocol)
	}
	if err != nil {
		return err
	}
	return s.SetProtocol(Protocol)
}
