package p2p

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

func TestRefusalReachesUploader(t *testing.T) {
	server := func() *http.Server {
		return &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1000)); err != nil {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			}
		})}
	}
	eachTransport(t, server, func(t *testing.T, addr string, _ *Listener) {
		client, transport := newClient(t, addr)
		_, err := post(t.Context(), client, transport.BaseURL(), make([]byte, 4<<20))
		if err == nil || !strings.Contains(err.Error(), "413") {
			t.Errorf("error %v, want the answer 413", err)
		}
	})
}

// rawStream opens a stream without HTTP on it.
func rawStream(t *testing.T, addr string) network.Stream {
	t.Helper()
	_, transport := newClient(t, addr)
	s, err := transport.swarm.NewStream(t.Context(), transport.server)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expectEnd reads s to its end, of whatever kind, which must come in time: before the
// server would have ended a connection that is idle.
func expectEnd(t *testing.T, s network.Stream, within time.Duration) string {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(within))
	got, err := io.ReadAll(s)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the server still waits after %v", within)
	}
	return string(got)
}

func TestSlowClients(t *testing.T) {
	t.Parallel()
	server := func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, IdleTimeout: 300 * time.Millisecond}
	}
	eachTransport(t, server, func(t *testing.T, addr string, _ *Listener) {
		for name, tt := range map[string]struct{ sent, want string }{
			"header": {sent: "GET / HTTP/1.1\r\nHost: x\r\n"},
			"body":   {sent: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1", want: "HTTP/1.1 400 "},
			"idle":   {sent: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: "HTTP/1.1 200 "},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := rawStream(t, addr)
				if err := selectProtocol(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(s, tt.sent); err != nil {
					t.Fatal(err)
				}
				if got := expectEnd(t, s, idleTimeout/2); !strings.HasPrefix(got, tt.want) {
					t.Errorf("answer %q, want one that starts %q", got, tt.want)
				}
			})
		}
		t.Run("negotiation", func(t *testing.T) {
			t.Parallel()
			s := rawStream(t, addr)
			if _, err := s.Write([]byte{19}); err != nil { // a length, and nothing after it
				t.Fatal(err)
			}
			expectEnd(t, s, idleTimeout/2)
		})
	})
}

func TestOtherProtocol(t *testing.T) {
	_, addrs := startServer(t, echoServer())
	s := rawStream(t, addrs["tcp"])
	defer s.Reset()
	if _, err := io.WriteString(s, "\x13/multistream/1.0.0\n\x0c/ping/1.0.0\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len("\x13/multistream/1.0.0\n\x03na\n"))
	s.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(s, buf); err != nil || !strings.HasSuffix(string(buf), "\x03na\n") {
		t.Errorf("answer %q, %v, want na", buf, err)
	}
}

func TestVanishingClient(t *testing.T) {
	started, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	server := func() *http.Server {
		return &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			started <- struct{}{}
			<-r.Context().Done()
			gone <- struct{}{}
		})}
	}
	for _, name := range []string{"tcp", "quic"} {
		t.Run(name, func(t *testing.T) {
			l, addrs := startServer(t, server())
			client, transport := newClient(t, addrs[name])
			done := make(chan error, 1)
			go func() {
				_, err := post(t.Context(), client, transport.BaseURL(), nil)
				done <- err
			}()
			<-started
			transport.Close()
			if err := <-done; err == nil {
				t.Error("the client's request went on after Close")
			}
			select {
			case <-gone:
			case <-time.After(patience):
				t.Fatal("the handler was not told that its client is gone")
			}
			deadline := time.Now().Add(patience)
			for {
				l.mu.Lock()
				open := l.open
				l.mu.Unlock()
				if open == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d streams are still open", open)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// proxy passes connections on to addr until stall is closed; then it reads no
// more, as a dead link does.
func proxy(t *testing.T, addr string, stall <-chan struct{}) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { in.Close() })
			out, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { out.Close() })
			go io.Copy(in, out)
			go func() {
				buf := make([]byte, 4096)
				for {
					n, err := in.Read(buf)
					select {
					case <-stall:
						return
					default:
					}
					if _, werr := out.Write(buf[:n]); err != nil || werr != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr()
}

// Closing a stream must not wait for the connection, or a request's timeout
// would not hold.
func TestCloseOnDeadLink(t *testing.T) {
	l, addrs := startServer(t, echoServer())
	_, peerID, _ := strings.Cut(addrs["tcp"], "/p2p/")
	stall := make(chan struct{})
	_, port, _ := net.SplitHostPort(proxy(t, l.Addr().String(), stall).String())
	_, transport := newClient(t, "/ip4/127.0.0.1/tcp/"+port+"/p2p/"+peerID)
	var streams []net.Conn
	for range defaultMaxStreamsPerPeer {
		c, err := transport.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, c)
	}
	close(stall)
	var wg sync.WaitGroup
	for _, c := range streams {
		wg.Go(func() { c.Write(make([]byte, 1<<20)) })
	}
	time.Sleep(time.Second) // for all queues to fill
	start := time.Now()
	for _, c := range streams {
		c.Close()
	}
	wg.Wait()
	if took := time.Since(start); took > 5*time.Second { // a write on a dead link takes 10 s to give up
		t.Errorf("closing the streams and the return of their writers took %v", took)
	}
}

// TestManySlowStreams: peers that open as many streams as they can, and send next to nothing
// on them, hold a bounded number and keep no other peer out. A peer with many more than it
// may have, at once, comes to the memory that a peer may have, and loses its connection.
func TestManySlowStreams(t *testing.T) {
	for name, many := range map[string]struct {
		each  int // streams that a peer opens
		least int // that are open then
	}{"some more than a peer may": {defaultMaxStreamsPerPeer + 8, defaultMaxStreamsPerPeer}, "a flood": {4096 / 20, 0}} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, echoServer, func(t *testing.T, addr string, l *Listener) {
				testSlowStreams(t, addr, l, many.each, many.least)
			})
		})
	}
}

func testSlowStreams(t *testing.T, addr string, l *Listener, each, least int) {
	const peers = 20
	openOne := func(transport *Transport) {
		s, err := transport.swarm.NewStream(t.Context(), transport.server)
		if err != nil {
			return
		}
		_ = s.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(s, "\x13/multistream/1.0.0\n\x15"+string(Protocol)+"\nPOST / HTTP/1.1\r\nHost: x\r\n")
	}
	var transports []*Transport
	var opening sync.WaitGroup
	for range peers {
		_, transport := newClient(t, addr)
		transports = append(transports, transport)
		opening.Go(func() {
			for range each {
				openOne(transport)
			}
		})
	}
	opening.Wait()
	open := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.open
	}
	for deadline := time.Now().Add(patience); open() < peers*least; time.Sleep(time.Millisecond) {
		for _, transport := range transports { // a busy machine ends streams that do not agree on a protocol in time
			openOne(transport)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are open, want %d of each of %d peers", open(), least, peers)
		}
	}
	client, transport := newClient(t, addr)
	if _, err := post(t.Context(), client, transport.BaseURL(), []byte("honest")); err != nil {
		t.Errorf("an honest peer is shut out: %v", err)
	}
	if most := peers*defaultMaxStreamsPerPeer + 8; open() > most {
		t.Errorf("%d streams are open, want at most %d", open(), most)
	}
}

// TestStreamsPerAddressAreLimited: many peers at one address are one party.
func TestStreamsPerAddressAreLimited(t *testing.T) {
	l := &Listener{maxStreamsPerAddress: 3, streams: map[netip.Prefix]int{}}
	var leaves []func()
	enter := func(addr string) error {
		leave, err := l.enter(fakeConn{remote: multiaddr(t, addr)})
		if err == nil {
			leaves = append(leaves, leave)
		}
		return err
	}
	for _, test := range []struct {
		addr string
		want error
	}{
		{"/ip4/192.0.2.1/tcp/1", nil},
		{"/ip4/192.0.2.1/tcp/2", nil},
		{"/ip4/192.0.2.1/udp/3/quic-v1", nil},
		{"/ip4/192.0.2.1/tcp/4", errStreams},
		{"/ip4/192.0.2.2/tcp/1", nil},
		{"/ip6/2001:db8::1/tcp/1", nil},
		{"/ip6/2001:db8::2/tcp/1", nil},
		{"/ip6/2001:db8:0:0f::1/tcp/1", nil},
		{"/ip6/2001:db8:0:ff::1/tcp/1", errStreams},
		{"/ip6/2001:db8:0:100::1/tcp/1", nil},
	} {
		if err := enter(test.addr); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.addr, err, test.want)
		}
	}
	for range 10 {
		if err := enter("/ip4/127.0.0.1/tcp/1"); err != nil {
			t.Errorf("loopback: %v", err)
		}
	}
	for _, leave := range leaves {
		leave()
	}
	if len(l.streams) > 0 {
		t.Errorf("left over: %v", l.streams)
	}
}

// fakeConn is a connection of which only the address is asked for.
type fakeConn struct {
	network.Conn
	remote ma.Multiaddr
}

func (c fakeConn) RemoteMultiaddr() ma.Multiaddr { return c.remote }

func multiaddr(t *testing.T, text string) ma.Multiaddr {
	t.Helper()
	addr, err := ma.NewMultiaddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestCrowded: the more connections are open, the sooner those without a stream are closed.
func TestCrowded(t *testing.T) {
	l := &Listener{maxConns: 100}
	for open, want := range map[int]time.Duration{0: idleTimeout, 75: idleTimeout, 76: crowdedIdle} {
		if got := l.patience(open); got != want {
			t.Errorf("%d connections: %v, want %v", open, got, want)
		}
	}
}
