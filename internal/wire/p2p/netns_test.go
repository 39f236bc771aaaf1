package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"repronet.dev/internal/netnstest"
)

// TestMain lets the test binary be a process on a host of its own: HOST_ROLE
// names the role, of which each is a function below. It talks over stdin and
// stdout and ends with its stdin.
func TestMain(m *testing.M) {
	roles := map[string]func() error{"server": serverRole, "office": officeRole, "client": clientRole}
	if role := os.Getenv("HOST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serverRole prints its addresses, one a line, and an empty line.
func serverRole() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := Config{
		Listen:  []string{"/ip4/" + os.Getenv("HOST_IP") + "/tcp/4001", "/ip4/" + os.Getenv("HOST_IP") + "/udp/4001/quic-v1"},
		KeyFile: os.Getenv("HOST_KEY"),
	}
	start := Listen
	if os.Getenv("HOST_LIMITS") == "libp2p" {
		limits, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.DefaultLimits.AutoScale()))
		if err != nil {
			return err
		}
		start = func(ctx context.Context, cfg Config) (*Listener, error) { return listen(ctx, cfg, limits) }
	}
	l, err := start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(l.Addrs(), "\n") + "\n")
	server := &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: patience}
	go server.Serve(l)
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	l.Wait()
	return err
}

// officeRole is 20 reporters behind one address: they all send a request at
// once. It prints how many were answered.
func officeRole() error {
	location, peerID, _ := strings.Cut(os.Getenv("HOST_SERVER"), "/p2p/")
	var wg sync.WaitGroup
	answered := make(chan struct{}, 20)
	for range cap(answered) {
		transport, err := NewTransport(location, peerID)
		if err != nil {
			return err
		}
		defer transport.Close()
		wg.Go(func() {
			client := &http.Client{Transport: transport, Timeout: patience}
			if _, err := post(context.Background(), client, transport.BaseURL(), make([]byte, 1000)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			answered <- struct{}{}
		})
	}
	wg.Wait()
	fmt.Println(len(answered))
	return nil
}

// clientRole reads lines "TIMEOUT REQUESTS SIZE". For each it sends that many
// requests at once and prints how many were answered and how long all took.
func clientRole() error {
	location, peerID, _ := strings.Cut(os.Getenv("HOST_SERVER"), "/p2p/")
	transport, err := NewTransport(location, peerID)
	if err != nil {
		return err
	}
	defer transport.Close()
	for {
		var timeout string
		var requests, size int
		if _, err := fmt.Scanln(&timeout, &requests, &size); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		limit, err := time.ParseDuration(timeout)
		if err != nil {
			return err
		}
		client := &http.Client{Transport: transport, Timeout: limit}
		answered := make(chan struct{}, requests)
		var wg sync.WaitGroup
		start := time.Now()
		for range requests {
			wg.Go(func() {
				if _, err := post(context.Background(), client, transport.BaseURL(), make([]byte, size)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				answered <- struct{}{}
			})
		}
		wg.Wait()
		fmt.Println(len(answered), time.Since(start))
	}
}

// process is a role at work on a host.
type process struct {
	t     *testing.T
	stdin io.WriteCloser
	out   *bufio.Scanner
	err   strings.Builder
}

func startRole(t *testing.T, n *netnstest.Network, host int, role string, env ...string) *process {
	t.Helper()
	cmd := n.Command(context.WithoutCancel(t.Context()), host, os.Args[0])
	cmd.Env = append(append(os.Environ(), "HOST_ROLE="+role, "HOST_IP="+n.Addr(host)), env...)
	p := &process{t: t}
	cmd.Stderr = &p.err
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(cmd) })
	return p
}

func (p *process) stop(cmd *exec.Cmd) {
	p.stdin.Close()
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		p.t.Errorf("%v: %s", err, p.err.String())
	}
}

func (p *process) line() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("the process ended: %v", p.out.Err())
	}
	return p.out.Text()
}

func startServerRole(t *testing.T, n *netnstest.Network, limits string) map[string]string {
	t.Helper()
	server := startRole(t, n, 0, "server", "HOST_KEY="+filepath.Join(t.TempDir(), "key"), "HOST_LIMITS="+limits)
	var addrs []string
	for line := server.line(); line != ""; line = server.line() {
		addrs = append(addrs, line)
	}
	return byTransport(addrs)
}

// Twenty reporters of one office, of which libp2p's defaults would let in a few:
// that they do shows that this test sees the limits.
func TestManyReportersBehindOneAddress(t *testing.T) {
	for _, name := range []string{"tcp", "quic"} {
		t.Run(name, func(t *testing.T) {
			n := netnstest.New(t, 2)
			addrs := startServerRole(t, n, "ours")
			if got := startRole(t, n, 1, "office", "HOST_SERVER="+addrs[name]).line(); got != "20" {
				t.Errorf("%s of 20 got through", got)
			}
		})
		t.Run(name+" with libp2p's limits", func(t *testing.T) {
			n := netnstest.New(t, 2)
			addrs := startServerRole(t, n, "libp2p")
			got := startRole(t, n, 1, "office", "HOST_SERVER="+addrs[name]).line()
			t.Logf("%s of 20 got through", got)
			if got == "20" {
				t.Error("all of 20 got through, so this test would not notice that the limits are too low")
			}
		})
	}
}

// client is a clientRole seen from the test.
type client struct{ *process }

func startClientRole(t *testing.T, n *netnstest.Network, server string) client {
	t.Helper()
	return client{startRole(t, n, 1, "client", "HOST_SERVER="+server)}
}

func (c client) send(timeout time.Duration, requests, size int) (answered int, took time.Duration) {
	c.t.Helper()
	fmt.Fprintln(c.stdin, timeout, requests, size)
	var duration string
	if _, err := fmt.Sscan(c.line(), &answered, &duration); err != nil {
		c.t.Fatal(err)
	}
	took, err := time.ParseDuration(duration)
	if err != nil {
		c.t.Fatal(err)
	}
	return answered, took
}

// recover sends requests until one is answered. A connection whose link died would be
// used for a quarter of an hour by a client that noticed nothing.
func (c client) recover() {
	c.t.Helper()
	start := time.Now()
	for {
		if answered, _ := c.send(dialTimeout, 1, 1000); answered == 1 {
			break
		}
		if time.Since(start) > patience {
			c.t.Fatalf("no answer after %v", patience)
		}
		time.Sleep(500 * time.Millisecond)
	}
	c.t.Logf("answered again after %v", time.Since(start).Round(time.Millisecond))
}

func TestCutLink(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tcp", "quic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t, 2)
			client := startClientRole(t, n, startServerRole(t, n, "ours")[name])
			if answered, _ := client.send(patience, 20, 4<<20); answered != 20 {
				t.Fatalf("%d of 20 requests answered before the cut", answered)
			}
			n.Cut(1)
			for range 5 {
				// Enough at once to fill every queue on the way. What is written into a
				// full one would wait until the kernel gives up, for minutes.
				answered, took := client.send(time.Second, 50, 4<<20)
				if answered != 0 || took > time.Minute {
					t.Errorf("on the dead link %d requests of 50 were answered, and the timeout of 1s took %v", answered, took)
				}
			}
			n.Restore(1)
			client.recover()
		})
	}
}

// A laptop that gets another address has connections that look alive and go
// nowhere.
func TestClientChangesAddress(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tcp", "quic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t, 2)
			client := startClientRole(t, n, startServerRole(t, n, "ours")[name])
			if answered, _ := client.send(patience, 1, 1000); answered != 1 {
				t.Fatal("no answer before the change")
			}
			for _, args := range [][]string{
				{"addr", "add", "10.77.0.250/24", "dev", "eth0"},
				{"addr", "del", n.Addr(1) + "/24", "dev", "eth0"},
				{"addr", "replace", "10.77.0.250/24", "dev", "eth0"},
			} {
				if out, err := n.Command(t.Context(), 1, "ip", args...).CombinedOutput(); err != nil {
					t.Fatalf("ip %v: %v: %s", args, err, out)
				}
			}
			client.recover()
		})
	}
}
