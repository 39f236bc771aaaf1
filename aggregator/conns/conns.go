// Package conns bounds the connections of a server, over HTTP and over libp2p together.
//
// # Model
//
// A [Limiter] is told by [http.Server.ConnState] what becomes of each connection, a stream
// of libp2p among them. A network has at most [Config.PerNetwork]. When all [Config.Max] are
// open and one more comes, another is closed for it: the one that is idle for longest, of
// the network that has most. A connection is idle before its first request was read and
// between requests, which is when nothing is lost with it: a client's library opens another.
// Only where none is idle, one is closed in the middle of a request, of the network that has
// most, if that has more than the network of the new one. So thousands of connections from a
// few addresses keep nobody out, and an honest client behind the same address as many others
// is closed at worst in a pause.
//
// # Trust
//
// Networks are told apart as package fair does; what a request says of where it comes from
// is not known here. Addresses behind which many are have no bound of their own, and lose
// only idle connections.
package conns

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/fair"
)

// What holds where nothing else is said.
const (
	DefaultMax        = 2048
	DefaultPerNetwork = 256
)

// Config says how many connections may be open. The zero value is usable.
type Config struct {
	// Max is how many connections may be open at all. 0: [DefaultMax], or half as many
	// as the process may have descriptors if that is less.
	Max int
	// PerNetwork is how many of one network may. 0: [DefaultPerNetwork].
	PerNetwork int
	Networks   fair.Networks
	// Registry takes the metrics, if there is one.
	Registry prometheus.Registerer
}

// A Limiter bounds connections. Use [New].
type Limiter struct {
	config Config
	closed *prometheus.CounterVec

	mu       sync.Mutex // guards what follows
	open     map[net.Conn]*conn
	networks map[string]*network
}

// network is what the limiter knows of one network.
type network struct {
	name   string
	open   int
	idle   *list.List // of *conn, longest first
	active *list.List // of *conn, longest first
}

type conn struct {
	net.Conn
	of    *network
	in    *list.List // idle or active
	place *list.Element
}

// New returns a limiter of no connections yet.
func New(config Config) *Limiter {
	if config.Max == 0 {
		config.Max = min(DefaultMax, descriptors()/2)
	}
	if config.PerNetwork == 0 {
		config.PerNetwork = DefaultPerNetwork
	}
	l := &Limiter{
		config: config, open: map[net.Conn]*conn{}, networks: map[string]*network{},
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "repronet_connections_closed_total", Help: "Connections that were closed to bound their number, by why: the network had enough, or one was closed for a new one.",
		}, []string{"why"}),
	}
	if config.Registry != nil {
		config.Registry.MustRegister(l.closed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "repronet_connections_open", Help: "Open connections, over HTTP and streams of libp2p.",
		}, func() float64 { return float64(l.Open()) }))
	}
	return l
}

// descriptors returns how many files and sockets the process may have open.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}

// Max returns how many connections may be open.
func (l *Limiter) Max() int { return l.config.Max }

// Open returns how many connections are open.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// ConnState is for the field of that name of an [http.Server]. Several servers may share a
// limiter.
func (l *Limiter) ConnState(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch state {
	case http.StateNew:
		l.add(c)
	case http.StateActive:
		l.move(c, func(n *network) *list.List { return n.active })
	case http.StateIdle:
		l.move(c, func(n *network) *list.List { return n.idle })
	case http.StateClosed, http.StateHijacked:
		if known := l.open[c]; known != nil {
			l.forget(known)
		}
	}
}

// add takes note of a new connection, and closes it, or another, if there are too many.
func (l *Limiter) add(c net.Conn) {
	name := l.config.Networks.Of(c.RemoteAddr().String())
	of := l.networks[name]
	switch {
	case name != "" && of != nil && of.open >= l.config.PerNetwork:
		l.closed.WithLabelValues("network").Inc()
		abort(c)
		return
	case len(l.open) >= l.config.Max && !l.makeRoom(of):
		l.closed.WithLabelValues("full").Inc()
		abort(c)
		return
	}
	if of = l.networks[name]; of == nil { // it may have lost its last connection
		of = &network{name: name, idle: list.New(), active: list.New()}
		l.networks[name] = of
	}
	of.open++
	known := &conn{Conn: c, of: of, in: of.idle}
	known.place = of.idle.PushBack(known)
	l.open[c] = known
}

func (l *Limiter) move(c net.Conn, to func(*network) *list.List) {
	known := l.open[c]
	if known == nil {
		return // it was closed for another
	}
	known.in.Remove(known.place)
	known.in = to(known.of)
	known.place = known.in.PushBack(known)
}

func (l *Limiter) forget(known *conn) {
	known.in.Remove(known.place)
	delete(l.open, known.Conn)
	if known.of.open--; known.of.open == 0 {
		delete(l.networks, known.of.name)
	}
}

// makeRoom closes a connection for one of a network, which is nil if it has none yet, and
// reports whether there was one to close.
func (l *Limiter) makeRoom(newcomer *network) bool {
	var idle, busy *network
	for _, n := range l.networks {
		if n.idle.Len() > 0 && (idle == nil || n.open > idle.open) {
			idle = n
		}
		if n.name != "" && n.active.Len() > 0 && (busy == nil || n.open > busy.open) {
			busy = n
		}
	}
	var victim *conn
	switch {
	case idle != nil:
		victim = idle.idle.Front().Value.(*conn) //nolint:forcetypeassert // nothing else is in it
	case busy != nil && (newcomer == nil || newcomer.name == "" || busy.open > newcomer.open+1):
		victim = busy.active.Front().Value.(*conn) //nolint:forcetypeassert // nothing else is in it
	default:
		return false
	}
	l.forget(victim)
	l.closed.WithLabelValues("room").Inc()
	abort(victim.Conn)
	return true
}

// abort closes a connection without waiting for its other end.
func abort(c net.Conn) {
	if stream, ok := c.(interface{ Abort() }); ok {
		stream.Abort()
		return
	}
	_ = c.Close() // nothing that is kept was written
}
