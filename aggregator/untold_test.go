package aggregator

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/verify"
)

// TestLightDoesNotTell captures every byte between a checker that keeps no copy of the ledger
// and its aggregator, both ways: it is the same for all outputs of a bucket, of which one is
// reproduced, one diverged after the newest map, and one never named. What the checker makes
// of it is not. Asked by its name, each gives itself away.
func TestLightDoesNotTell(t *testing.T) {
	w := newWorld(t, nil)
	reproduced, diverged, unknown := bucketOfThree(t)
	alice, bob := w.enrol("alice"), w.enrol("bob")
	w.attest(alice, reproduced, reproduced+1, 1)
	w.attest(bob, reproduced, reproduced+1, 1)
	w.fill(ledger.BundleWidth) // so that what is fetched of one is not what is fetched of the other
	w.attest(alice, diverged, diverged+1, 1)
	w.fill(ledger.BundleWidth)
	if err := w.maps.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.attest(bob, diverged, diverged+1, 2)
	w.attest(bob, diverged+1_000_000, diverged+1_000_001, 2) // of another bucket, behind the map
	w.settle()
	pins := &verify.Pins{LogKey: w.logKey}
	pins.Pin(verify.NewBuilder(alice.Public(), "alice"))
	pins.Pin(verify.NewBuilder(bob.Public(), "bob"))

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // bundles are fetched one after the other then, in one order
	tap := newTap(t, strings.TrimPrefix(w.url, "http://"))
	ask := func(n int, tell bool) (verdict divergence.Verdict, traffic string) {
		t.Helper()
		light := verify.Light{Aggregator: must(verify.Dial(tap.address)), Pins: pins, State: t.TempDir(), MaxAge: time.Hour, Tell: tell}
		evidence, err := light.Evidence(t.Context(), "nix", outputName(n))
		if err != nil {
			t.Fatal(err)
		}
		return evidence.Judgement.Verdict, tap.take()
	}
	verdict, want := ask(reproduced, false)
	if verdict != divergence.Reproduced || !strings.Contains(want, api.MapBucketsPath) || !strings.Contains(want, "tile/entries") {
		t.Fatalf("verdict %v by %.300s", verdict, want)
	}
	for n, wantVerdict := range map[int]divergence.Verdict{diverged: divergence.Diverged, unknown: divergence.Unbuilt} {
		verdict, got := ask(n, false)
		if verdict != wantVerdict {
			t.Errorf("output %d: %v, want %v", n, verdict, wantVerdict)
		}
		if at := differs(want, got); at >= 0 {
			t.Errorf("traffic of two outputs of a bucket differs: %d and %d bytes, from\n%.200q\nand\n%.200q", len(want), len(got), want[at:], got[at:])
		}
		if strings.Contains(got, "hello-") {
			t.Error("a name is in the traffic")
		}
	}
	if _, told := ask(reproduced, true); !strings.Contains(told, "hello-") {
		t.Error("the capture does not see what is told")
	}
}

// differs returns where two texts begin to differ, -1 if they do not.
func differs(a, b string) int {
	if a == b {
		return -1
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return at
}

// TestBucketAnswers: an answer about a bucket has one of few lengths, is not compressed and
// not to be, and says no more than it is asked.
func TestBucketAnswers(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.enrol("alice")
	w.attest(alice, 0, 400, 1)
	ask := func(path string) *http.Response {
		t.Helper()
		request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil))
		request.Header.Set("Accept-Encoding", "gzip, br, zstd")
		response := must(http.DefaultTransport.RoundTrip(request))
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	if response := ask(api.MapBucketPath("00000")); response.StatusCode != http.StatusNotFound {
		t.Errorf("without a map: %s", response.Status)
	}
	if err := w.maps.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	one := attestation.NewOutputID("nix", outputName(1)).Prefix(5)
	for _, path := range []string{
		api.MapBucketPath("00000"), api.MapBucketPath("fffff"), api.MapBucketPath("abc"), api.MapBucketPath(one),
		api.BucketPath("00000"), api.BucketPath("abc"), api.BucketPath(one),
	} {
		const size = 16 << 10
		response := ask(path)
		body := must(io.ReadAll(response.Body))
		if response.StatusCode != http.StatusOK || len(body) != size || response.ContentLength != int64(size) ||
			response.Header.Get("Content-Encoding") != "" || !strings.Contains(response.Header.Get("Cache-Control"), "no-transform") {
			t.Errorf("%s: %s, %d bytes, %v", path, response.Status, len(body), response.Header)
		}
	}
	for _, prefix := range []string{"0", "00", "000000", "ABCDE", "0x123", "%3Cscript%3E", "..%2f..", "%1b%5b2J", "%ff"} {
		for _, path := range []string{api.MapBucketsPath, api.LookupPath} {
			if response := ask(path + "/" + prefix); response.StatusCode != http.StatusUnprocessableEntity && response.StatusCode != http.StatusNotFound {
				t.Errorf("%s/%s: %s", path, prefix, response.Status)
			}
		}
	}
	t.Run("client", func(t *testing.T) { lookUps(t, must(api.Dial(w.url, time.Minute))) })
}

// lookUps has an output found in each way in which it can be looked up.
func lookUps(t *testing.T, client *api.Client) {
	const n = 7
	key, digest := outputName(n), attestation.Digest{1, 1, n}
	id := attestation.NewOutputID("nix", key)
	answer, err := client.Lookup(t.Context(), []string{key, key + ".drv", digest.Hex(), outputName(400)})
	if err != nil {
		t.Fatal(err)
	}
	want := []api.FoundOutput{{
		Key: key, Ecosystem: "nix", Verdict: api.Single, Operators: 1, Factions: []api.Faction{{Digest: digest.String(), Operators: []string{"alice"}}},
	}}
	for i := range 3 {
		if diff := cmp.Diff(want, answer.Keys[i].Outputs); diff != "" || answer.Keys[i].State != api.KeyKnown {
			t.Errorf("%s is %s (-want +got):\n%s", answer.Keys[i].Key, answer.Keys[i].State, diff)
		}
	}
	if last := answer.Keys[3]; last.State != api.KeyUnknown {
		t.Errorf("an output that nobody named: %+v", last)
	}
	bucket, err := client.Bucket(t.Context(), id.Prefix(attestation.MaxPrefix))
	if err != nil || !slices.ContainsFunc(bucket.Outputs, func(o api.FoundOutput) bool { return cmp.Equal(o, want[0]) }) {
		t.Errorf("the output's bucket is %+v, %v", bucket, err)
	}
	rows, err := client.ByPURL(t.Context(), "pkg:nix/hello@7")
	if err != nil || len(rows) != 1 || rows[0].Key != key {
		t.Errorf("by its package URL: %+v, %v", rows, err)
	}
	if rows, err := client.ByDigest(t.Context(), digest); err != nil || len(rows) != 1 || rows[0].Key != key {
		t.Errorf("by its digest: %+v, %v", rows, err)
	}
	output, err := client.Output(t.Context(), path.Base(key))
	if err != nil || output.Key != key {
		t.Errorf("by its base name: %+v, %v", output, err)
	}
}

// fill appends n entries that say nothing.
func (w *world) fill(n int) {
	w.t.Helper()
	var group errgroup.Group
	for range n {
		group.Go(func() error {
			_, err := w.log.Append(w.t.Context(), ledger.Narinfo, []byte("none"))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// bucketOfThree returns the numbers of three outputs whose IDs begin with the same 20 bits.
func bucketOfThree(t *testing.T) (a, b, c int) {
	t.Helper()
	buckets := map[attestation.Prefix][]int{}
	for n := range 400_000 {
		prefix := attestation.NewOutputID("nix", outputName(n)).Prefix(5)
		if buckets[prefix] = append(buckets[prefix], n); len(buckets[prefix]) == 3 {
			return buckets[prefix][0], buckets[prefix][1], buckets[prefix][2]
		}
	}
	t.Fatal("no bucket has three outputs")
	return 0, 0, 0
}

// A tap is an address that passes bytes on, and keeps them.
type tap struct {
	address string
	mu      sync.Mutex
	ways    [2]bytes.Buffer // guarded by mu: what the client sent and what it was sent, each in its order
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	tap := &tap{address: "http://" + listener.Addr().String()}
	ctx, stop := context.WithCancel(t.Context())
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { tap.pass(ctx, client, to) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = listener.Close()
		connections.Wait()
	})
	return tap
}

// pass passes the bytes of a connection on until either side ends it.
func (p *tap) pass(ctx context.Context, client net.Conn, to string) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	end := sync.OnceFunc(func() { _, _ = client.Close(), server.Close() })
	defer context.AfterFunc(ctx, end)()
	var ways sync.WaitGroup
	for way, ends := range [2][2]net.Conn{{client, server}, {server, client}} {
		from, into := ends[0], ends[1]
		ways.Go(func() {
			defer end()
			_, _ = io.Copy(into, io.TeeReader(from, tapped{p, way})) // an error: the other side has gone
		})
	}
	ways.Wait()
}

// tapped keeps what passes one way, before it is passed on: once an answer has arrived, all
// of it and of its question has been kept.
type tapped struct {
	tap *tap
	way int
}

// Write implements [io.Writer].
func (w tapped) Write(data []byte) (int, error) {
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	return w.tap.ways[w.way].Write(data)
}

var dates = regexp.MustCompile(`(?m)^(Date|Last-Modified): [^\r]*\r\n`)

// take returns what passed since the last time, without the time of day.
func (p *tap) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.ways[0].String() + p.ways[1].String()
	p.ways[0].Reset()
	p.ways[1].Reset()
	return dates.ReplaceAllString(text, "")
}
