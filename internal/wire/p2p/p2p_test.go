package p2p

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/network"
)

// patience bounds what a test waits for where only a hang is wrong. A machine may be
// busy with other things: no test draws a conclusion from an answer that comes late.
const patience = 2 * time.Minute

var testListen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// startServer serves handler until the test ends and returns the addresses by
// transport, "tcp" and "quic".
func startServer(t testing.TB, server *http.Server) (*Listener, map[string]string) {
	t.Helper()
	l, err := Listen(context.WithoutCancel(t.Context()), Config{
		Listen:  testListen,
		KeyFile: filepath.Join(t.TempDir(), "key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.ConnContext = ConnContext
	if server.ReadHeaderTimeout == 0 {
		server.ReadHeaderTimeout = patience
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		wait(t, l)
	})
	return l, byTransport(l.Addrs())
}

func wait(t testing.TB, l *Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() { l.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("the host still runs %v after it was closed", patience)
	}
}

func byTransport(addrs []string) map[string]string {
	m := make(map[string]string)
	for _, addr := range addrs {
		name := "tcp"
		if strings.Contains(addr, "quic") {
			name = "quic"
		}
		m[name] = addr
	}
	return m
}

func newClient(t testing.TB, addr string) (*http.Client, *Transport) {
	t.Helper()
	location, peerID, _ := strings.Cut(addr, "/p2p/")
	transport, err := NewTransport(location, peerID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	return &http.Client{Transport: transport, Timeout: patience}, transport
}

// echo answers with the method, path, peer and digest of the body.
func echo(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Fprintf(w, "%s %s %s %s %x", r.Method, r.URL.Path, host, PeerID(r.Context()), h.Sum(nil))
}

func post(ctx context.Context, c *http.Client, url string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return string(answer), err
}

func eachTransport(t *testing.T, server func() *http.Server, test func(t *testing.T, addr string, l *Listener)) {
	for _, name := range []string{"tcp", "quic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, addrs := startServer(t, server())
			test(t, addrs[name], l)
		})
	}
}

func echoServer() *http.Server {
	return &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: patience}
}

func TestRoundTrip(t *testing.T) {
	eachTransport(t, echoServer, func(t *testing.T, addr string, _ *Listener) {
		client, transport := newClient(t, addr)
		for _, size := range []int{0, 1, 1000, 4 << 20} {
			body := bytes.Repeat([]byte("x"), size)
			got, err := post(t.Context(), client, transport.BaseURL()+"/path", body)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(body)
			want := "POST /path 127.0.0.1 " + transport.swarm.LocalPeer().String() + " " + hex.EncodeToString(sum[:])
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d bytes (-want +got):\n%s", size, diff)
			}
		}
	})
}

// A client that failed to connect tries when it is asked to, whatever it has
// seen before.
// The swarm keeps its addresses in no order; the listener's stay as they are.
func TestAddressesAreStable(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	l, err := Listen(ctx, Config{
		Listen:  append(slices.Repeat(testListen[:1], 8), testListen[1]), // TCP eight times, then QUIC
		KeyFile: filepath.Join(t.TempDir(), "key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); l.Wait() }()
	first := l.Addr().String()
	for range 100 {
		if got := l.Addr(); got.Network() != "tcp" || got.String() != first {
			t.Fatalf("Addr is %s %s, and was tcp %s", got.Network(), got, first)
		}
	}
	if addrs := l.Addrs(); len(addrs) != 9 || !slices.IsSorted(addrs) {
		t.Errorf("Addrs is not nine addresses in order: %q", addrs)
	}
}

func TestServerComesLater(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key")
	l, err := Listen(t.Context(), Config{Listen: testListen, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	addr := byTransport(l.Addrs())["tcp"]
	l.Close()
	wait(t, l)

	client, transport := newClient(t, addr)
	for range 3 {
		if _, err := post(t.Context(), client, transport.BaseURL(), nil); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("error %v, want connection refused", err)
		}
	}
	location, _, _ := strings.Cut(addr, "/p2p/")
	l, err = Listen(t.Context(), Config{Listen: []string{location}, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	server := echoServer()
	go server.Serve(l)
	t.Cleanup(func() { server.Close(); wait(t, l) })
	if _, err := post(t.Context(), client, transport.BaseURL(), nil); err != nil {
		t.Error(err)
	}
}

// The same server value answers on plain TCP, where there is no peer ID.
func TestSameHandlerOnTCP(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := echoServer()
	_, addrs := startServer(t, server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(plain) }()
	t.Cleanup(func() { server.Close(); <-served })

	sum := sha256.Sum256([]byte("body"))
	got, err := post(t.Context(), http.DefaultClient, "http://"+plain.Addr().String()+"/", []byte("body"))
	if want := fmt.Sprintf("POST / 127.0.0.1  %x", sum); got != want || err != nil {
		t.Errorf("over TCP: %q, %v, want %q", got, err, want)
	}
	client, transport := newClient(t, addrs["tcp"])
	got, err = post(t.Context(), client, transport.BaseURL(), []byte("body"))
	if want := fmt.Sprintf("POST / 127.0.0.1 %s %x", transport.swarm.LocalPeer(), sum); got != want || err != nil {
		t.Errorf("over libp2p: %q, %v, want %q", got, err, want)
	}
}

func TestParallelClients(t *testing.T) {
	const clients, requests = 20, 20
	eachTransport(t, echoServer, func(t *testing.T, addr string, _ *Listener) {
		var wg sync.WaitGroup
		for range clients {
			client, transport := newClient(t, addr)
			// The connection is made before the next one is: twenty handshakes at once
			// take longer than one may on a machine that is busy.
			if _, err := post(t.Context(), client, transport.BaseURL(), nil); err != nil {
				t.Fatal(err)
			}
			for range requests {
				wg.Go(func() {
					if _, err := post(t.Context(), client, transport.BaseURL(), make([]byte, 1000)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestStreamsPerPeerAreLimited(t *testing.T) {
	release := make(chan struct{})
	l, err := Listen(t.Context(), Config{Listen: testListen, KeyFile: filepath.Join(t.TempDir(), "key"), MaxStreamsPerPeer: 3})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close(); wait(t, l) })
	client, transport := newClient(t, byTransport(l.Addrs())["tcp"])
	failed := make(chan error, 5)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := post(t.Context(), client, transport.BaseURL(), nil); err != nil {
				failed <- err
			}
		})
	}
	for range 2 {
		select {
		case <-failed:
		case <-time.After(patience):
			t.Fatal("more streams than the limit are open")
		}
	}
	close(release)
	wg.Wait()
	if len(failed) > 0 {
		t.Errorf("a request within the limit failed: %v", <-failed)
	}
	// Another peer was not held up and is not now.
	other, otherTransport := newClient(t, byTransport(l.Addrs())["tcp"])
	if _, err := post(t.Context(), other, otherTransport.BaseURL(), nil); err != nil {
		t.Error(err)
	}
}

func TestWrongPeerID(t *testing.T) {
	eachTransport(t, echoServer, func(t *testing.T, addr string, _ *Listener) {
		key, err := newIdentity()
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSwarm(key, &network.NullResourceManager{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeSwarm(s)
		location, _, _ := strings.Cut(addr, "/p2p/")
		client, transport := newClient(t, location+"/p2p/"+s.LocalPeer().String())
		_, err = post(t.Context(), client, transport.BaseURL(), nil)
		if err == nil || !strings.Contains(err.Error(), "peer id mismatch") {
			t.Errorf("error %v, want one that says the peer ID is another", err)
		}
	})
}

func TestRedirectElsewhere(t *testing.T) {
	_, addrs := startServer(t, &http.Server{Handler: http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect)})
	client, transport := newClient(t, addrs["tcp"])
	_, err := post(t.Context(), client, transport.BaseURL(), nil)
	if err == nil || !strings.Contains(err.Error(), "must not redirect elsewhere") {
		t.Errorf("error %v, want one that refuses the redirect", err)
	}
}

func TestShutdownDrains(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	l, err := Listen(t.Context(), Config{Listen: testListen, KeyFile: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		echo(w, r)
	})}
	go server.Serve(l)
	client, transport := newClient(t, byTransport(l.Addrs())["tcp"])
	answered := make(chan error, 1)
	go func() {
		_, err := post(t.Context(), client, transport.BaseURL(), []byte("x"))
		answered <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(t.Context()) }()
	<-l.closing
	if _, err := post(t.Context(), client, transport.BaseURL(), nil); err == nil {
		t.Error("a request was served after Shutdown began")
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the request under way when Shutdown began: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	wait(t, l)
}

func TestContextClosesAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Listen(ctx, Config{Listen: testListen, KeyFile: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})}
	go server.Serve(l)
	client, transport := newClient(t, byTransport(l.Addrs())["quic"])
	go func() { <-entered; cancel() }()
	if _, err := post(t.Context(), client, transport.BaseURL(), nil); err == nil {
		t.Error("the request was answered")
	}
	wait(t, l)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
}

func TestCloseIdle(t *testing.T) {
	l, addrs := startServer(t, echoServer())
	client, transport := newClient(t, addrs["tcp"])
	if _, err := post(t.Context(), client, transport.BaseURL(), nil); err != nil {
		t.Fatal(err)
	}
	l.closeIdle(0)
	if n := len(l.swarm.Conns()); n != 1 {
		t.Fatalf("%d connections, want the one whose stream is kept alive", n)
	}
	client.CloseIdleConnections()
	for l.closeIdle(time.Hour); len(l.swarm.Conns()) > 0 && len(l.swarm.Conns()[0].GetStreams()) > 0; {
		time.Sleep(10 * time.Millisecond)
	}
	l.closeIdle(time.Hour)
	if n := len(l.swarm.Conns()); n != 1 {
		t.Fatalf("%d connections, want the one that was just used", n)
	}
	l.closeIdle(0)
	if n := len(l.swarm.Conns()); n != 0 {
		t.Fatalf("%d connections, want none", n)
	}
	// The client finds out by itself.
	if _, err := post(t.Context(), client, transport.BaseURL(), nil); err != nil {
		t.Error(err)
	}
}
