package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

const (
	// negotiationTimeout is for agreeing on the protocol of a new stream.
	negotiationTimeout = 10 * time.Second
	// idleTimeout is how long a connection may be without a stream.
	idleTimeout = 2 * time.Minute
	// idleTick is how often connections are looked at.
	idleTick = 5 * time.Second
)

// Config says where a [Listener] listens and how much it takes. Listen and
// KeyFile are required, the rest has defaults.
type Config struct {
	// Listen has the addresses to listen on, as multiaddrs without a peer ID:
	// /ip4/0.0.0.0/tcp/4001, /ip4/0.0.0.0/udp/4001/quic-v1, the same with
	// /ip6/::. Port 0 takes a free one.
	Listen []string

	// KeyFile holds the key behind the server's peer ID, mode 0600. It is made
	// if it is not there. Clients know the server by this key: back it up.
	KeyFile string

	// MaxConns is how many connections may be open at all; 2048 if zero
	// (libp2p: 64, and 64 more for every 8 GiB of memory). Two streams for
	// each of them may be open. Where three quarters are, those without a
	// stream are closed after seconds.
	MaxConns int

	// MaxConnsPerAddress is how many connections may come from one IPv4
	// address or IPv6 /56; 256 if zero (libp2p: 8). As many may come at once,
	// and 10 a second thereafter (libp2p: 16, and one every 5 seconds). An
	// IPv6 /48 has four times as many. Loopback is not limited.
	MaxConnsPerAddress int

	// MaxStreamsPerPeer is how many streams, which is requests at once and
	// idle HTTP connections, one peer may have open; 64 if zero (libp2p: 64,
	// and a few more with much memory).
	MaxStreamsPerPeer int
	// MaxStreamsPerAddress is how many streams all peers of one IPv4 address or
	// IPv6 /56 may have open, since peers are made by the thousand; 512 if zero
	// (libp2p: no bound). Loopback is not limited.
	MaxStreamsPerAddress int

	// Logger is told of a new key and, at debug level, of refused streams.
	// Nothing is logged if it is nil.
	Logger *slog.Logger
}

// Listener is a [net.Listener] whose connections are libp2p streams.
type Listener struct {
	swarm  *swarm.Swarm
	addr   net.Addr // the first of Config.Listen
	limits io.Closer
	logger *slog.Logger
	mux    *multistream.MultistreamMuxer[protocol.ID]

	accepted chan net.Conn
	closing  chan struct{} // closed by Close
	drained  chan struct{} // closed after closing, when no stream is open
	down     chan struct{} // closed when the host is

	maxConns, maxStreamsPerAddress int

	mu       sync.Mutex // guards the fields below and the closing of closing and drained
	closed   bool
	open     int                        // streams handed to Accept and not closed since
	lastUsed map[network.Conn]time.Time // when a connection last lost a stream
	streams  map[netip.Prefix]int       // streams of an address, those that negotiate among them
}

// Listen starts a libp2p host with the identity in cfg.KeyFile. When ctx ends,
// it and all its connections are closed at once; [Listener.Close] is gentler.
func Listen(ctx context.Context, cfg Config) (*Listener, error) {
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultMaxConns)
	cfg.MaxConnsPerAddress = cmp.Or(cfg.MaxConnsPerAddress, defaultMaxConnsPerAddress)
	cfg.MaxStreamsPerPeer = cmp.Or(cfg.MaxStreamsPerPeer, defaultMaxStreamsPerPeer)
	cfg.MaxStreamsPerAddress = cmp.Or(cfg.MaxStreamsPerAddress, defaultMaxStreamsPerAddress)
	if min(cfg.MaxConns, cfg.MaxConnsPerAddress, cfg.MaxStreamsPerPeer, cfg.MaxStreamsPerAddress) < 0 {
		return nil, errors.New("libp2p limits are negative: give a number above zero, or zero for the default")
	}
	limits, err := newResourceManager(cfg)
	if err != nil {
		return nil, err
	}
	return listen(ctx, cfg, limits)
}

// listen owns limits, also when it fails.
func listen(ctx context.Context, cfg Config, limits network.ResourceManager) (_ *Listener, err error) {
	addrs, err := parseListen(cfg.Listen)
	if err != nil {
		return nil, errors.Join(err, limits.Close())
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	key, created, err := loadIdentity(cfg.KeyFile)
	if err != nil {
		return nil, errors.Join(err, limits.Close())
	}
	s, err := newSwarm(key, limits)
	if err != nil {
		return nil, errors.Join(err, limits.Close())
	}
	if created {
		logger.InfoContext(ctx, "made a libp2p key", "file", cfg.KeyFile, "peer_id", s.LocalPeer().String())
	}
	l := &Listener{
		swarm:    s,
		limits:   limits,
		logger:   logger,
		mux:      multistream.NewMultistreamMuxer[protocol.ID](),
		accepted: make(chan net.Conn),
		closing:  make(chan struct{}),
		drained:  make(chan struct{}),
		down:     make(chan struct{}),
		lastUsed: make(map[network.Conn]time.Time),
		streams:  make(map[netip.Prefix]int),
		maxConns: cfg.MaxConns, maxStreamsPerAddress: cfg.MaxStreamsPerAddress,
	}
	l.mux.AddHandler(Protocol, nil)
	s.SetStreamHandler(l.handle)
	// One at a time: the swarm is content if one address of several works.
	for _, addr := range addrs {
		if err := s.Listen(addr); err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", addr, err), closeSwarm(s), limits.Close())
		}
		if l.addr == nil {
			l.addr = netAddr(s.ListenAddresses()[0])
		}
	}
	go l.run(ctx)
	return l, nil
}

func parseListen(listen []string) ([]ma.Multiaddr, error) {
	if len(listen) == 0 {
		return nil, errors.New("libp2p: no address to listen on is given: give one such as /ip4/0.0.0.0/tcp/4001")
	}
	var addrs []ma.Multiaddr
	for _, s := range listen {
		addr, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("libp2p listen address %q: %w; an address looks like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1", s, err)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// Addrs returns the addresses on which clients of this network reach the
// listener, each complete with its peer ID. An unspecified address (0.0.0.0) is
// replaced by those of the machine's interfaces. They are sorted: the swarm gives
// them in no order.
func (l *Listener) Addrs() []string {
	addrs, err := l.swarm.InterfaceListenAddresses()
	if err != nil {
		l.logger.Warn("reading the addresses of this machine's interfaces", "error", err)
		addrs = l.swarm.ListenAddresses()
	}
	full := make([]string, 0, len(addrs))
	for _, addr := range addrs {
		full = append(full, addr.String()+"/p2p/"+l.swarm.LocalPeer().String())
	}
	slices.Sort(full)
	return full
}

// Addr returns the first address the listener was told to listen on, with the
// port it got.
func (l *Listener) Addr() net.Addr {
	return l.addr
}

// Accept waits for the next stream. After Close it returns [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Close stops accepting streams. As with TCP, what was accepted goes on; when
// the last of it is closed, so is the host. [http.Server.Shutdown] and
// [http.Server.Close] both do this; [Listener.Wait] waits for the end.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.closing)
	if l.open == 0 {
		close(l.drained)
	}
	return nil
}

// Wait waits until the host is closed: its ports are free again and none of its
// goroutines run.
func (l *Listener) Wait() {
	<-l.down
}

// run owns the host: it closes idle connections, and in the end all of it.
func (l *Listener) run(ctx context.Context) {
	defer close(l.down)
	tick := time.NewTicker(idleTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.closeIdle(l.patience(len(l.swarm.Conns())))
			continue
		case <-ctx.Done():
			_ = l.Close()
		case <-l.drained:
			l.linger(ctx)
		}
		if err := errors.Join(closeSwarm(l.swarm), l.limits.Close()); err != nil {
			l.logger.Warn("closing the libp2p host", "error", err)
		}
		return
	}
}

// linger gives the last answers time to arrive: they were written, but a connection
// that is closed before its peer has read them may be reset.
func (l *Listener) linger(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(lingerTime):
	}
}

const lingerTime = 250 * time.Millisecond

// patience is how long a connection may be without a stream while so many are open.
func (l *Listener) patience(open int) time.Duration {
	if 100*open > crowded*l.maxConns {
		return crowdedIdle
	}
	return idleTimeout
}

func (l *Listener) closeIdle(after time.Duration) {
	for _, c := range l.swarm.Conns() {
		if len(c.GetStreams()) > 0 {
			continue
		}
		l.mu.Lock()
		used, ok := l.lastUsed[c]
		l.mu.Unlock()
		if !ok {
			used = c.Stat().Opened
		}
		if time.Since(used) > after {
			_ = c.Close()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.lastUsed {
		if c.IsClosed() {
			delete(l.lastUsed, c)
		}
	}
}

// handle runs in a goroutine of the swarm's for each stream a peer opens.
func (l *Listener) handle(s network.Stream) {
	leave, err := l.enter(s.Conn())
	if err == nil {
		if err = l.negotiate(s); err != nil {
			leave()
		}
	}
	if err != nil {
		l.logger.Debug("refused a libp2p stream", "peer_id", s.Conn().RemotePeer().String(), "error", err)
		_ = s.Reset()
		return
	}
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
	c := newConn(s, s.Close, func() { leave(); l.release(s.Conn()) })
	select {
	case l.accepted <- c:
	case <-l.closing:
		_ = s.Reset()
		leave()
		l.release(s.Conn())
	}
}

var errStreams = errors.New("its address has as many streams open as it may")

// enter counts a stream of an address, until the function that it returns is called.
func (l *Listener) enter(c network.Conn) (leave func(), err error) {
	site := siteOf(c.RemoteMultiaddr())
	if !site.IsValid() {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[site] >= l.maxStreamsPerAddress {
		return nil, errStreams
	}
	l.streams[site]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.streams[site]--; l.streams[site] == 0 {
			delete(l.streams, site)
		}
	}, nil
}

// siteOf returns the IPv4 address or the IPv6 /56 of a peer; the zero Prefix of loopback.
func siteOf(addr ma.Multiaddr) (site netip.Prefix) {
	raw, err := manet.ToIP(addr)
	ip, ok := netip.AddrFromSlice(raw)
	if err != nil || !ok || ip.Unmap().IsLoopback() {
		return site
	}
	ip = ip.Unmap()
	bits := 56
	if ip.Is4() {
		bits = 32
	}
	site, _ = ip.Prefix(bits) // no address is shorter
	return site
}

func (l *Listener) negotiate(s network.Stream) error {
	if err := s.SetDeadline(time.Now().Add(negotiationTimeout)); err != nil {
		return err
	}
	name, _, err := l.mux.Negotiate(s)
	if err != nil {
		return err
	}
	if err := s.SetProtocol(name); err != nil {
		return err
	}
	return s.SetDeadline(time.Time{})
}

func (l *Listener) release(c network.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.lastUsed[c] = time.Now()
	if l.closed && l.open == 0 {
		close(l.drained)
	}
}
