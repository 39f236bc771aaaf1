package p2p

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

func TestRefusalReachesUploader(t *testing.T) {
	server := func() *http.Server {
		return &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// expectEnd reads s to its end, of whatever kind, which must come in time.
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
		return &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 300 * time.Millisecond, ReadTimeout: 600 * time.Millisecond, IdleTimeout: 300 * time.Millisecond}
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
				if got := expectEnd(t, s, 5*time.Second); !strings.HasPrefix(got, tt.want) {
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
			expectEnd(t, s, negotiationTimeout+5*time.Second)
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
	s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(s, buf); err != nil || !strings.HasSuffix(string(buf), "\x03na\n") {
		t.Errorf("answer %q, %v, want na", buf, err)
	}
}

func TestVanishingClient(t *testing.T) {
	started, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	server := func() *http.Server {
		return &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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
			case <-time.After(5 * time.Second):
				t.Fatal("the handler was not told that its client is gone")
			}
			deadline := time.Now().Add(5 * time.Second)
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
	for range 100 {
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
	if took := time.Since(start); took > time.Second {
		t.Errorf("closing the streams and the return of their writers took %v", took)
	}
}
