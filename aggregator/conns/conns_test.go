package conns_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"repronet.dev/aggregator/conns"
	"repronet.dev/aggregator/fair"
)

// patience bounds what a test waits for where only a hang is wrong.
const patience = time.Minute

// serve starts a real server whose connections are bounded, on all addresses of loopback.
// What it answers waits for a value from answer, if the path is /slow.
func serve(t *testing.T, config conns.Config, answer <-chan struct{}) (l *conns.Limiter, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = conns.New(config)
	server := &http.Server{
		ConnState: l.ConnState, ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				select {
				case <-answer:
				case <-r.Context().Done():
				}
			}
			io.WriteString(w, "ok")
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return l, listener.Addr().String()
}

// dial connects from an address of loopback, and sends text.
func dial(t *testing.T, from, to, text string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// answered reads an answer.
func answered(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != "ok" {
		err = fmt.Errorf("the answer is %q", body)
	}
	return err
}

func request(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// everyAddress tells all addresses apart, those of loopback too.
var everyAddress = fair.Networks{Many: []netip.Prefix{}}

// TestIdleConnections: two thousand connections that send nothing, from a few addresses or
// from many, keep nobody out.
func TestIdleConnections(t *testing.T) {
	for name, addresses := range map[string]int{"few": 4, "many": 200} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			l, address := serve(t, conns.Config{Max: 300, PerNetwork: 100, Networks: everyAddress, Registry: registry}, nil)
			for i := range 2000 {
				sent := ""
				if i%2 == 0 {
					sent = "GET / HTTP/1.1\r\nHo" // a request that does not end
				}
				dial(t, fmt.Sprintf("127.0.%d.%d", 1+i%addresses/100, 1+i%addresses%100), address, sent)
			}
			for range 20 {
				if err := answered(dial(t, "127.0.0.1", address, request("/"))); err != nil {
					t.Fatalf("an honest client is shut out: %v", err)
				}
			}
			if open := l.Open(); open > 300 {
				t.Errorf("%d connections are open", open)
			}
			if n, err := testutil.GatherAndCount(registry, "repronet_connections_closed_total"); err != nil || n == 0 {
				t.Errorf("nothing was counted: %v", err)
			}
		})
	}
}

// TestBusyConnections: requests that take long, of a network that has most connections, give
// way to others; those that are under way of a network with few do not.
func TestBusyConnections(t *testing.T) {
	answer := make(chan struct{})
	l, address := serve(t, conns.Config{Max: 20, PerNetwork: 18, Networks: everyAddress}, answer)
	honest := dial(t, "127.0.0.1", address, request("/slow"))
	for range 30 {
		dial(t, "127.0.0.2", address, request("/slow"))
	}
	eventually(t, "the connections are open", func() bool { return l.Open() == 19 })
	for range 30 {
		dial(t, "127.0.0.3", address, request("/slow"))
	}
	for range 10 {
		if err := answered(dial(t, "127.0.0.4", address, request("/"))); err != nil {
			t.Fatalf("an honest client is shut out: %v", err)
		}
	}
	close(answer)
	if err := answered(honest); err != nil {
		t.Errorf("a request under way was cut off: %v", err)
	}
}

// TestOneAddressForMany: behind a proxy all have its address, so it has no bound of its own.
func TestOneAddressForMany(t *testing.T) {
	l, address := serve(t, conns.Config{Max: 50, PerNetwork: 5}, nil)
	var open []net.Conn
	for range 40 {
		open = append(open, dial(t, "127.0.0.1", address, request("/")))
	}
	for _, c := range open {
		if err := answered(c); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Open(); n != 40 {
		t.Errorf("%d connections are open", n)
	}
	for _, c := range open {
		c.Close()
	}
	eventually(t, "all are closed", func() bool { return l.Open() == 0 })
}

// TestPause: a connection that is closed in a pause is opened again by the client's library,
// and no request is lost.
func TestPause(t *testing.T) {
	_, address := serve(t, conns.Config{Max: 10, PerNetwork: 8, Networks: everyAddress}, nil)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for range 5 {
		response, err := client.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		for i := range 30 {
			dial(t, fmt.Sprintf("127.0.0.%d", 2+i%8), address, "")
		}
	}
}
