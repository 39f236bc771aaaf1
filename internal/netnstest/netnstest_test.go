package netnstest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the process on a host: it exits with 0 if the
// address in PROBE belongs to somebody who refuses the connection, which nobody
// does on a link that is cut.
func TestMain(m *testing.M) {
	if addr := os.Getenv("PROBE"); addr != "" {
		_, err := net.DialTimeout("tcp", addr, time.Second)
		if errors.Is(err, syscall.ECONNREFUSED) {
			os.Exit(0)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestNetwork(t *testing.T) {
	var prefix string
	t.Run("links", func(t *testing.T) {
		n := New(t, 3)
		prefix = n.prefix
		check := func(from, to int, want bool) {
			t.Helper()
			cmd := n.Command(t.Context(), from, os.Args[0])
			cmd.Env = append(os.Environ(), "PROBE="+n.Addr(to)+":1")
			if got := cmd.Run() == nil; got != want {
				t.Errorf("host %d reaches host %d: %t, want %t", from, to, got, want)
			}
		}
		check(0, 1, true)
		check(2, 0, true)
		n.Cut(1)
		check(0, 1, false)
		check(2, 0, true)
		n.Restore(1)
		check(0, 1, true)
	})
	if prefix == "" {
		return // skipped
	}
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), prefix) {
		t.Errorf("namespaces are left over:\n%s", out)
	}
}
