package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/internal/exectest"
	"repronet.dev/internal/netnstest"
)

// behind is the number of reporters behind one address.
const behind = 20

// TestNAT has twenty reporters at work at the same time that share an address,
// as behind a router, and all get through on every way in.
func TestNAT(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	hosts := netnstest.New(t, 2)
	s := &server{log: messages(t, "the aggregator"), args: []string{
		"--listen", hosts.Addr(0) + ":8080", "--checkpoint-interval", "250ms",
		"--libp2p", fmt.Sprintf("/ip4/%[1]s/tcp/4001,/ip4/%[1]s/udp/4001/quic-v1", hosts.Addr(0)),
	}}
	var err error
	s.Aggregator, err = network.StartAggregator(context.WithoutCancel(t.Context()), onHost(t, hosts, 0), filepath.Join(t.TempDir(), "data"), s.log, s.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Errorf("the aggregator ended with: %v", err)
		}
	}()
	s.Programs = onHost(t, hosts, 1)
	reporters := make([]*network.Reporter, behind)
	dir := t.TempDir()
	for i := range reporters {
		name := fmt.Sprintf("operator-%d", i)
		if reporters[i], err = network.NewReporter(t.Context(), s.Aggregator, filepath.Join(dir, name), name, s.URL, "--report", "all"); err != nil {
			t.Fatal(err)
		}
	}
	for i, way := range []struct{ name, part string }{{"HTTP", "http://"}, {"libp2p over TCP", "/tcp/"}, {"libp2p over QUIC", "/quic-v1/"}} {
		t.Run(way.name, func(t *testing.T) {
			submitTogether(t, hosts, reporters, s.address(t, way.part), s.URL, uint64(i+1)*behind)
		})
	}
}

// onHost returns programs that run on a host of the network.
func onHost(t *testing.T, hosts *netnstest.Network, host int) network.Programs {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{programs().Aggregator(), programs().Reporter()} {
		script := "#!/bin/sh\nexec " + strings.Join(hosts.Command(t.Context(), host, program).Args, " ") + " \"$@\"\n"
		exectest.Write(t, filepath.Join(dir, filepath.Base(program)), script)
	}
	return network.Programs(dir)
}

// submitTogether has each reporter record a build and deliver it while all
// others run too, until there are as many attestations as are wanted.
func submitTogether(t *testing.T, hosts *netnstest.Network, reporters []*network.Reporter, address, base string, want uint64) {
	t.Helper()
	log := messages(t, "the reporters")
	artefact := filepath.Join(t.TempDir(), "artefact")
	if err := os.WriteFile(artefact, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range reporters {
		if err := r.Init(t.Context(), "--aggregator", address); err != nil {
			t.Fatal(err)
		}
		if err := r.Attest(t.Context(), "--build", fmt.Sprintf("nat/build-%d", want), "--output", "bin="+artefact); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range reporters {
		running, err := r.Run(t.Context(), log, "--interval", "100ms")
		if err != nil {
			t.Fatal(err)
		}
		defer running.Kill()
	}
	var summary dashboard.Summary
	for deadline := time.Now().Add(time.Minute); summary.Attestations < want; time.Sleep(100 * time.Millisecond) {
		text, err := hosts.Command(t.Context(), 1, "curl", "-sS", base+"/api/v1/summary").Output()
		if err == nil {
			err = json.Unmarshal(text, &summary)
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d attestations came through, want %d", summary.Attestations, want)
		}
	}
	if summary.Attestations != want || summary.Operators != behind {
		t.Errorf("%d attestations of %d operators, want %d of %d", summary.Attestations, summary.Operators, want, behind)
	}
}
