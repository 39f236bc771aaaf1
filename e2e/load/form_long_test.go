//go:build long

package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/exectest"
	"repronet.dev/internal/needtest"
)

// goalsHold says that a goal that is missed is a failure.
const goalsHold = true

var form = sizes{
	outputs: 100_000, set: 95_000, stalled: 20, streams: 4096, peers: 20,
	alone: 20 * time.Second, together: 90 * time.Second,
}

// groupLimit is the memory of a small machine, in bytes.
const groupLimit = 2 << 30

// TestLoadInGroup does the same to a server in a control group with 2 GiB of memory: the
// kernel ends it if it needs more.
func TestLoadInGroup(t *testing.T) {
	given := programs(t)
	group := newGroup(t)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%s/cgroup.procs && exec %s \"$@\"\n", group.dir, given.Aggregator())
	exectest.Write(t, filepath.Join(dir, "repronet-aggregator"), script)
	attackAll(t, network.Programs(dir), func(f *figures) {
		t.Logf("the group had %d MiB at most, with files, and came to its limit %s times", group.most()>>20, group.read(group.failures))
		if f.resident > groupLimit {
			t.Errorf("%d bytes were resident in a group with %d", f.resident, groupLimit)
		}
	})
}

// A group is a control group of one process.
type group struct {
	dir            string
	peak, failures string // names of files
}

// newGroup makes a control group of version 1 or 2.
func newGroup(t *testing.T) *group {
	t.Helper()
	g := &group{dir: fmt.Sprintf("/sys/fs/cgroup/memory/repronet-load-%d", os.Getpid()), peak: "memory.max_usage_in_bytes", failures: "memory.failcnt"}
	limit := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		g = &group{dir: fmt.Sprintf("/sys/fs/cgroup/repronet-load-%d", os.Getpid()), peak: "memory.peak", failures: "memory.events"}
		limit = "memory.max"
	}
	err := os.Mkdir(g.dir, 0o755)
	if err == nil {
		t.Cleanup(func() { _ = os.Remove(g.dir) })
		err = os.WriteFile(filepath.Join(g.dir, limit), strconv.AppendInt(nil, groupLimit, 10), 0)
	}
	if err != nil {
		needtest.Lacking(t, "NO CONTROL GROUP: "+err.Error())
	}
	return g
}

func (g *group) read(name string) string {
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// most is the most memory that the group had, in bytes.
func (g *group) most() int64 {
	n, _ := strconv.ParseInt(g.read(g.peak), 10, 64)
	return n
}
