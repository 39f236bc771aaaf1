package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"repronet.dev/aggregator/fair"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// everyAddress tells all addresses apart, those of loopback too.
var everyAddress = fair.Networks{Many: []netip.Prefix{}}

// from returns a client at an address of loopback.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// stall sends the header of a request and the beginning of a body that never ends.
func (s *server) stall(t *testing.T, address, encoding string, length int, begin []byte) net.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	header := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", api.SubmitPath, api.LinesType, encoding, length)
	if _, err := conn.Write(append([]byte(header), begin...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestStalledCompressedBodies: bodies that would unpack to all of the memory, and of which
// the end does not come, hold what came of them and no more.
func TestStalledCompressedBodies(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil, 48<<20)
	signer := s.enrolled(t, "alice", nil)
	packed := compressed(t, func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}, io.LimitReader(zero{}, api.MaxRequestSize)).Bytes()
	sent := 0
	for range 60 {
		s.stall(t, "127.0.0.1", "zstd", len(packed)+1, packed)
		sent += len(packed)
	}
	time.Sleep(200 * time.Millisecond) // for the server to read them
	for range 10 {
		bundle := sign(t, signer, statement())
		a := s.submit(t, bundle)
		if a.problem != nil {
			t.Fatalf("%d bytes of others keep an honest sender out: %v", sent, a.problem)
		}
		s.accepted(t, a.results[0], bundle)
	}
}

// TestTrickledBodies: a sender that never pauses for long and never comes to the end is sent
// away.
func TestTrickledBodies(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	conn := s.stall(t, "127.0.0.1", "identity", 1<<20, nil)
	go func() {
		for {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 12)
	if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 408" {
		t.Errorf("a sender that trickles got %q, %v", reply, err)
	}
}

// TestShareOfMemory: what one network may hold of the memory is bounded, so that others have
// the rest.
func TestShareOfMemory(t *testing.T) {
	s := newServerOf(t, ingest.Config{}, nil, func(c *limits) { c.MaxInFlight, c.Networks = 256<<20, &everyAddress })
	signer := s.enrolled(t, "alice", nil)
	var refused sync.WaitGroup
	for range 12 {
		conn := s.stall(t, "127.0.0.2", "identity", 15<<20, nil)
		refused.Go(func() {
			_, _ = conn.Write(make([]byte, 14<<20)) // it ends when the server has enough
			_, _ = io.Copy(io.Discard, conn)
		})
	}
	other := from(t, "127.0.0.3")
	big := bytes.Repeat([]byte("{}\n"), 900)
	for range 3 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.SubmitPath, io.MultiReader(bytes.NewReader(big), bytes.NewReader(bytes.Repeat([]byte(" "), 12<<20))))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", api.LinesType)
		response, err := other.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("a large request from another network: %s", response.Status)
		}
	}
	bundle := sign(t, signer, statement())
	s.accepted(t, s.submit(t, bundle).results[0], bundle)
	s.CloseClientConnections()
	refused.Wait()
}

// hintOf returns how bundles name a signer's key.
func hintOf(signer *signing.Signer) string {
	sum := sha256.Sum256(signer.Public().DER())
	return base64.StdEncoding.EncodeToString(sum[:])
}

// counted reads a counter of bundles by what became of them.
func counted(t *testing.T, registry *prometheus.Registry, result string) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "repronet_ingest_bundles_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if labelled(m, result) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

func labelled(m *dto.Metric, value string) bool {
	return len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == value
}

// TestEqualBundles: a thousand equal bundles are checked once, and each is answered.
func TestEqualBundles(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newServer(t, ingest.Config{Registry: registry}, nil)
	signer, other := s.enrolled(t, "alice", nil), signingtest.New(t)
	good := sign(t, signer, statement())
	forged := bytes.Replace(sign(t, other, statement()), []byte(hintOf(other)), []byte(hintOf(signer)), 1)
	lines := bytes.Repeat(append(forged, '\n'), api.MaxBundles-2)
	lines = append(append(append(lines, good...), '\n'), good...)
	s.stored(t, 1, func() {
		a := s.post(t, bytes.NewReader(lines), api.LinesType, "")
		if len(a.results) != api.MaxBundles {
			t.Fatalf("%d answers: %v", len(a.results), a.problem)
		}
		for _, r := range a.results[:api.MaxBundles-2] {
			contains(t, r.Problem, http.StatusForbidden, "bad-signature", "signature does not verify")
		}
		s.accepted(t, a.results[api.MaxBundles-2], good)
		s.accepted(t, a.results[api.MaxBundles-1], good)
		if a.results[api.MaxBundles-2].Duplicate || !a.results[api.MaxBundles-1].Duplicate {
			t.Error("not the second of two equal bundles is the duplicate")
		}
	})
	if n := counted(t, registry, "refused"); n != 1 {
		t.Errorf("equal bundles were checked %d times", n)
	}
	bomb := compressed(t, func(w io.Writer) io.WriteCloser {
		z, _ := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
		return z
	}, bytes.NewReader(lines))
	if bomb.Len() > 3000 {
		t.Errorf("the bomb has %d bytes", bomb.Len())
	}
	s.stored(t, 0, func() {
		contains(t, s.post(t, bomb, api.LinesType, "zstd").problem, http.StatusRequestEntityTooLarge, "too-large", "unpacks to more than")
	})
}

// TestRefusedRequestIsNotReadOn: after a number of refusals the rest of a request is put off.
func TestRefusedRequestIsNotReadOn(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newServer(t, ingest.Config{Registry: registry}, nil)
	stranger, signer := signingtest.New(t), s.enrolled(t, "alice", nil)
	var lines [][]byte
	for range 300 {
		lines = append(lines, sign(t, stranger, statement()))
	}
	a := s.submitLines(t, lines...)
	refused, later := 0, 0
	for _, r := range a.results {
		switch {
		case r.Problem == nil:
			t.Fatal("a stranger's statement was taken")
		case r.Problem.Kind() == api.ProblemNotEnrolled:
			refused++
		case r.Problem.Kind() == api.ProblemTryLater && strings.Contains(r.Problem.Detail, "not looked at"):
			later++
		default:
			t.Errorf("refused as %v", r.Problem)
		}
	}
	if refused < 64 || refused > 200 || refused+later != 300 || counted(t, registry, "refused") != refused {
		t.Errorf("%d were refused, of which %d are counted, and %d put off", refused, counted(t, registry, "refused"), later)
	}
	bundle := sign(t, signer, statement())
	s.accepted(t, s.submit(t, bundle).results[0], bundle)
}

// TestFloodOfChecks: a builder's statement does not wait behind thousands of others'.
func TestFloodOfChecks(t *testing.T) {
	s := newServerOf(t, ingest.Config{}, nil, func(c *limits) { c.Networks = &everyAddress })
	signer := s.enrolled(t, "alice", nil)
	stranger := signingtest.New(t)
	var lines [][]byte
	for range 64 { // as many as are checked of one request
		lines = append(lines, append(sign(t, stranger, statement()), bytes.Repeat([]byte(" "), 100_000)...))
	}
	body := bytes.Join(lines, []byte("\n"))
	ctx, stop := context.WithCancel(t.Context())
	var flooding sync.WaitGroup
	for range 16 {
		client := from(t, "127.0.0.2")
		flooding.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+api.SubmitPath, bytes.NewReader(body))
				if err != nil {
					return
				}
				request.Header.Set("Content-Type", api.LinesType)
				if response, err := client.Do(request); err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}
		})
	}
	for range 5 {
		bundle := sign(t, signer, statement())
		a := s.submit(t, bundle)
		if a.problem != nil {
			t.Fatalf("a flood keeps an honest sender out: %v", a.problem)
		}
		s.accepted(t, a.results[0], bundle)
	}
	stop()
	flooding.Wait()
}
