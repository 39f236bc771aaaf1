package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An attack is what strangers do until a context ends. The server may turn them away,
// and end their connections: that is no error.
type attack struct {
	name string
	run  func(ctx context.Context, s *target)
}

// attackEnv has what a process of attackers is to do.
const attackEnv = "REPRONET_LOAD_ATTACK"

// An assignment is what a process of attackers is to do.
type assignment struct {
	Target  target
	Attacks []string // names
	Lasts   time.Duration
}

// TestMain lets the test binary be the attackers.
func TestMain(m *testing.M) {
	if text := os.Getenv(attackEnv); text != "" {
		var a assignment
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			panic(err)
		}
		a.carryOut()
		return
	}
	os.Exit(m.Run())
}

func (a *assignment) carryOut() {
	ctx, stop := context.WithTimeout(context.Background(), a.Lasts)
	defer stop()
	var group sync.WaitGroup
	for _, one := range attacks() {
		if slices.Contains(a.Attacks, one.name) {
			group.Go(func() { one.run(ctx, &a.Target) })
		}
	}
	group.Wait()
}

// start starts a process of attackers. What they compute is paid by machines of their
// own in the world, so here they take of the processors what others leave.
func (a *assignment) start(ctx context.Context) (*exec.Cmd, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "nice", "-n", "19", os.Args[0])
	command.Env = append(os.Environ(), attackEnv+"="+string(text))
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command, command.Start()
}

// stranger is an address of the loopback network from which nobody honest comes.
func stranger(n int) net.IP { return net.IPv4(127, 0, 1, byte(1+n%250)) }

// dialFrom returns a dialer from an address.
func dialFrom(from net.IP) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 10 * time.Second}
}

// clientFrom returns a client from an address.
func clientFrom(from net.IP) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dialFrom(from).DialContext, MaxIdleConnsPerHost: 100}, Timeout: time.Minute}
}

// crowd runs a number of workers, spread over addresses, again and again until ctx ends.
// One that was turned away waits a little, as not even an attacker gains by asking at
// once.
func crowd(ctx context.Context, workers, addresses int, work func(ctx context.Context, client *http.Client, worker int) error) {
	clients := make([]*http.Client, addresses)
	for i := range clients {
		clients[i] = clientFrom(stranger(i))
		defer clients[i].CloseIdleConnections()
	}
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := work(ctx, clients[i%addresses], i); err != nil {
					sleep(ctx, 20*time.Millisecond)
				}
			}
		})
	}
	group.Wait()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

var errTurnedAway = errors.New("turned away")

// get asks and reads the whole answer.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return do(client, request)
}

func do(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: %s %s: %s: %.300s", errTurnedAway, request.Method, request.URL, response.Status, body)
	}
	return body, err
}

// hold sends bytes over a connection of its own, and then reads slowly, or nothing if
// every is 0, until the server ends the connection or ctx does.
func hold(ctx context.Context, s *target, from net.IP, send []byte, every time.Duration) error {
	c, err := dialFrom(from).DialContext(ctx, "tcp", s.host())
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })()
	if tcp, ok := c.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			return err
		}
	}
	if _, err := c.Write(send); err != nil {
		return err
	}
	piece := make([]byte, 64)
	if every == 0 {
		_, err := io.ReadFull(c, piece[:1]) // an answer, or the end
		return errors.Join(errTurnedAway, err)
	}
	for ctx.Err() == nil {
		if _, err := c.Read(piece); err != nil {
			return err
		}
		sleep(ctx, every)
	}
	return nil
}
