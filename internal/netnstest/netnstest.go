// Package netnstest gives a test several hosts on one machine: network
// namespaces joined by a bridge, with links that can be cut.
//
//	net := netnstest.New(t, 2)
//	server := net.Command(t.Context(), 0, "./server", "--listen", net.Addr(0)+":80")
//	client := net.Command(t.Context(), 1, "./client", net.Addr(0)+":80")
//	…
//	net.Cut(1)
//
// Traffic between hosts is not loopback, so limits that exempt loopback hold,
// and processes on one host share one source address. Nothing is made in the
// machine's own namespace, the bridge included: networks of parallel tests all
// use the same addresses and do not see each other or the machine's network,
// and deleting the namespaces leaves nothing behind.
//
// It needs root and iproute2. Without them a test is skipped, loudly, or fails
// where the environment has CI set.
package netnstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"repronet.dev/internal/needtest"
)

// Network is a bridge with hosts on it, numbered from 0. Its name in the
// machine's list of namespaces starts with rn and the test's process ID.
type Network struct {
	t      testing.TB
	prefix string
	hosts  int
}

// New makes a network of the given number of hosts, at most 200. It is deleted
// when the test ends; processes that the test started must have ended by then.
func New(t testing.TB, hosts int) *Network {
	t.Helper()
	require(t)
	if hosts > 200 {
		t.Fatalf("netnstest: %d hosts do not fit into the network", hosts)
	}
	n := &Network{t: t, prefix: fmt.Sprintf("rn%d-%s-", os.Getpid(), rand.Text()[:6]), hosts: hosts}
	t.Cleanup(n.delete)
	n.ip("netns", "add", n.bridge())
	n.ip("-n", n.bridge(), "link", "add", "br0", "type", "bridge", "forward_delay", "0")
	n.ip("-n", n.bridge(), "link", "set", "br0", "up")
	for i := range hosts {
		host := n.host(i)
		n.ip("netns", "add", host)
		n.ip("-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", n.port(i), "netns", n.bridge())
		n.ip("-n", host, "addr", "add", n.Addr(i)+"/24", "dev", "eth0")
		n.ip("-n", host, "link", "set", "lo", "up")
		n.ip("-n", host, "link", "set", "eth0", "up")
		n.ip("-n", n.bridge(), "link", "set", n.port(i), "master", "br0")
		n.ip("-n", n.bridge(), "link", "set", n.port(i), "up")
	}
	return n
}

func require(t testing.TB) {
	t.Helper()
	needtest.Root(t, "make network namespaces")
	needtest.Program(t, "ip", "iproute2")
}

// Addr is the IPv4 address of a host.
func (n *Network) Addr(host int) string {
	return fmt.Sprintf("10.77.0.%d", host+1)
}

// Command is [exec.CommandContext] on a host. The process is the command itself,
// so signals reach it.
func (n *Network) Command(ctx context.Context, host int, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.host(host), name}, args...)...)
}

// Cut cuts a host off silently, as when a router fails on the way: what it sends
// and what is sent to it is lost, and its own link stays up.
func (n *Network) Cut(host int) {
	n.t.Helper()
	n.ip("-n", n.bridge(), "link", "set", n.port(host), "nomaster")
}

// Restore undoes Cut.
func (n *Network) Restore(host int) {
	n.t.Helper()
	n.ip("-n", n.bridge(), "link", "set", n.port(host), "master", "br0")
}

func (n *Network) bridge() string    { return n.prefix + "br" }
func (n *Network) host(i int) string { return fmt.Sprintf("%s%d", n.prefix, i) }
func (n *Network) port(i int) string { return fmt.Sprintf("port%d", i) }

func (n *Network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (n *Network) delete() {
	for i := range n.hosts {
		n.deleteNamespace(n.host(i))
	}
	n.deleteNamespace(n.bridge())
}

func (n *Network) deleteNamespace(name string) {
	if _, err := os.Stat("/run/netns/" + name); err != nil {
		return // New stopped before it was made
	}
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		n.t.Errorf("ip netns del %s: %v: %s", name, err, out)
	}
}
