package aggregator

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/internal/wire"
	"repronet.dev/signing"
)

// bundleOf is a signed statement about one output.
func (w *world) bundleOf(signer *signing.Signer, n int) []byte {
	w.t.Helper()
	s := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{{Name: outputName(n), Digest: attestation.Digest{1, byte(n), byte(n >> 8)}}},
		Builds:   []attestation.Build{{Name: outputName(n) + ".drv", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
	}
	return must(signer.Sign(w.t.Context(), s))
}

// TestStrangersKeepNobodyOut: a server as it is configured, over HTTP and libp2p, while its
// connections are full of those that send nothing, and of bodies that stall.
func TestStrangersKeepNobodyOut(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.MaxConnections = 64
		c.Libp2p.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		c.Budget.OpenBuilder = 4 << 10
	})
	alice := w.enrol("alice")
	address := strings.TrimPrefix(w.url, "http://")
	var packed bytes.Buffer
	z := must(zstd.NewWriter(&packed))
	must(z.Write(make([]byte, api.MaxRequestSize-1)))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(text string) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_, _ = io.WriteString(conn, text) // it may be closed already
	}
	for range 20 {
		open(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Encoding: zstd\r\nContent-Length: %d\r\n\r\n%s",
			api.SubmitPath, api.LinesType, packed.Len()+1, packed.String()))
	}
	for range 300 {
		open("")
	}
	for _, at := range w.addresses {
		client, base, err := wire.Client(at, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			response, err := client.Post(base+api.SubmitPath, api.BundleType, bytes.NewReader(w.bundleOf(alice, n)))
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			text := string(must(io.ReadAll(response.Body)))
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s: %s", at, response.Status, text)
			}
			client.CloseIdleConnections() // the next comes over a connection of its own
		}
	}
	metrics := w.get("/metrics")
	if !strings.Contains(metrics, `repronet_connections_closed_total{why="room"}`) {
		t.Error("nothing was closed to make room")
	}
	mallory := w.enrolAs("id-mallory", enrolment.Open)
	for n := range 100 {
		response, err := http.Post(w.url+api.SubmitPath, api.BundleType, bytes.NewReader(w.bundleOf(mallory, n)))
		if err != nil {
			t.Fatal(err)
		}
		text := string(must(io.ReadAll(response.Body)))
		response.Body.Close()
		if response.StatusCode == http.StatusTooManyRequests && strings.Contains(text, "#over-budget") && response.Header.Get("Retry-After") != "" {
			w.keepsBudgets(mallory)
			return
		}
	}
	t.Error("tier open has no budget")
}

// keepsBudgets fails unless a start would know what a builder has written.
func (w *world) keepsBudgets(signer *signing.Signer) {
	w.t.Helper()
	for _, job := range w.watchJobs() {
		if err := job.Run(w.t.Context()); err != nil {
			w.t.Errorf("job %s: %v", job.Name, err)
		}
	}
	kept := must(w.state.Fact(w.t.Context(), factSpent))
	if !strings.Contains(kept, string(signer.Public().Builder())) {
		w.t.Errorf("kept is %s", kept)
	}
	if err := w.restoreBudgets(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	// A start that failed before it took them up closes what it has opened.
	failed := &Aggregator{view: view{deps: w.deps}, ingest: ingest.New(ingest.Config{}, nil, w.roster, nil), state: w.state}
	if err := failed.keepBudgets(w.t.Context()); err != nil || must(w.state.Fact(w.t.Context(), factSpent)) != kept {
		w.t.Errorf("a start that failed keeps other budgets (%v)", err)
	}
}
