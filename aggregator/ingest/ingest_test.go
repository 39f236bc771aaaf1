package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

func TestSubmitOne(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	var first uint64
	s.stored(t, 1, func() {
		a := s.submit(t, bundle)
		if a.results[0].Duplicate {
			t.Error("the first submission is a duplicate")
		}
		first = s.accepted(t, a.results[0], bundle)
	})
	respelled := bytes.Replace(bundle, []byte(`"mediaType":`), []byte(` "mediaType": `), 1)
	s.stored(t, 0, func() {
		for _, again := range [][]byte{bundle, respelled} {
			a := s.submit(t, again)
			if !a.results[0].Duplicate || s.accepted(t, a.results[0], bundle) != first {
				t.Errorf("the same claim again got %+v", a.results[0])
			}
		}
	})
}

// TestEntryVersions: a sender gets a receipt that it can read, and a claim is one whichever it is.
func TestEntryVersions(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	for reads, want := range map[string]byte{"": 1, "1": 1, "2": 2, "9": 2, "-2": 1, "two": 1} {
		s.reads = reads
		bundle := sign(t, signer, statement())
		a := s.submit(t, bundle)
		index := s.accepted(t, a.results[0], bundle)
		if got := a.results[0].Receipt.Entry[0]; got != want {
			t.Errorf("to a sender that reads %q, version %d, want %d", reads, got, want)
		}
		s.reads = ""
		if again := s.submit(t, bundle); !again.results[0].Duplicate || s.accepted(t, again.results[0], bundle) != index {
			t.Errorf("the same claim again got %+v", again.results[0])
		}
	}
}

func TestEncodings(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	for encoding, compress := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		bundle := sign(t, signer, statement())
		a := s.post(t, compressed(t, compress, bytes.NewReader(bundle)), api.BundleType, encoding)
		if a.problem != nil {
			t.Fatalf("%s: %v", encoding, a.problem)
		}
		s.accepted(t, a.results[0], bundle)
	}
	bundle := sign(t, signer, statement())
	a := s.post(t, bytes.NewReader(bundle), api.LinesType+"; charset=utf-8", "identity")
	s.accepted(t, a.results[0], bundle)
}

func compressed(t *testing.T, compress func(io.Writer) io.WriteCloser, r io.Reader) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := compress(&out)
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestForkedStream: two histories of one stream are evidence, so both are kept.
func TestForkedStream(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	forked := func() []byte {
		st := statement()
		st.Chain = attestation.Chain{Stream: strings.Repeat("ab", 16), Sequence: 3, Previous: sha256.Sum256([]byte("2"))}
		return sign(t, signer, st)
	}
	one, other := forked(), forked()
	s.stored(t, 2, func() {
		a := s.submitLines(t, one, other)
		s.accepted(t, a.results[0], one)
		s.accepted(t, a.results[1], other)
	})
}

// TestSameClaimAtOnce: fifty senders of one claim get one index.
func TestSameClaimAtOnce(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	indices := make([]uint64, 50)
	var duplicates int
	var mu sync.Mutex // guards duplicates
	s.stored(t, 1, func() {
		var senders sync.WaitGroup
		for i := range indices {
			senders.Go(func() {
				index, duplicate, problem := s.ingest.Submit(t.Context(), bundle)
				if problem != nil {
					t.Error(problem)
				}
				indices[i] = index
				mu.Lock()
				defer mu.Unlock()
				if duplicate {
					duplicates++
				}
			})
		}
		senders.Wait()
	})
	for _, index := range indices {
		if index != indices[0] {
			t.Fatalf("several indices: %v", indices)
		}
	}
	if duplicates != len(indices)-1 {
		t.Errorf("%d duplicates, want all but one", duplicates)
	}
}

// TestKnown: what the ledger had before the start is recognised.
func TestKnown(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	builder, payload, err := signing.Peek(bundle)
	if err != nil {
		t.Fatal(err)
	}
	key := reading.NewKey(builder, payload)
	s.ingest.Known(key, 0)
	s.ingest.Known(key, 9) // a second entry of the same claim changes nothing
	s.stored(t, 0, func() {
		index, duplicate, problem := s.ingest.Submit(t.Context(), bundle)
		if problem != nil || !duplicate || index != 0 {
			t.Errorf("got %d, %v, %v", index, duplicate, problem)
		}
	})
	other := s.enrolled(t, "bob", nil) // the same payload of another builder is another claim
	s.stored(t, 1, func() {
		verified, err := sigstore.Open(bundle, func(signing.BuilderID) (signing.Key, error) {
			return signing.Key{PublicKey: signer.Public()}, nil
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, duplicate, problem := s.ingest.Submit(t.Context(), signPayload(t, other, verified.Payload())); duplicate || problem != nil {
			t.Errorf("got %v, %v", duplicate, problem)
		}
	})
}

func TestNotReady(t *testing.T) {
	router := serve(t, ingest.New(ingest.Config{}, &gate{}, enrolment.NewRoster(), nil), func(*limits) {})
	s := &server{Server: httptest.NewServer(router)}
	defer s.Close()
	a := s.submit(t, []byte("{}"))
	contains(t, a.problem, http.StatusServiceUnavailable, "try-later", "The aggregator is starting")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestTooMuchAtOnce: beyond MaxInFlight a request is turned away, and what it
// held is free again.
func TestTooMuchAtOnce(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil, 128<<10)
	signer := s.enrolled(t, "alice", nil)
	for range 3 {
		a := s.post(t, bytes.NewReader(make([]byte, 1<<20)), api.BundleType, "")
		contains(t, a.problem, http.StatusServiceUnavailable, "try-later", "Too many submissions at once")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		bundle := sign(t, signer, statement())
		s.accepted(t, s.submit(t, bundle).results[0], bundle)
	}
}

// TestSlowSenders: those who send nothing hold no memory that others need, and
// are sent away in the end.
func TestSlowSenders(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil, 1<<20)
	signer := s.enrolled(t, "alice", nil)
	var slow []net.Conn
	for range 8 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST "+api.SubmitPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+api.BundleType+"\r\nContent-Length: 16000000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	bundle := sign(t, signer, statement())
	s.accepted(t, s.submit(t, bundle).results[0], bundle)
	for _, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(reply), "HTTP/1.1 408 ") || !strings.Contains(string(reply), "did not arrive in time") {
			t.Errorf("a slow sender got %q", reply)
		}
	}
}

// TestSenderGoesAway: a claim whose sender left while it was written is in the
// ledger, and known.
func TestSenderGoesAway(t *testing.T) {
	log := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	s := newServer(t, ingest.Config{}, func(l ingest.Log) ingest.Log { log.Log = l; return log })
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+api.SubmitPath, bytes.NewReader(bundle))
		if err == nil {
			request.Header.Set("Content-Type", api.BundleType)
			var response *http.Response
			if response, err = s.Client().Do(request); err == nil {
				err = response.Body.Close()
			}
		}
		gone <- err
	}()
	<-log.entered
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(log.open)
	s.stored(t, 1, func() {
		index, duplicate, problem := s.ingest.Submit(t.Context(), bundle)
		if problem != nil || !duplicate || index != 1 {
			t.Errorf("the second attempt got %d, %v, %v", index, duplicate, problem)
		}
	})
}

// TestLedgerFails: a claim that could not be written is free for the next try.
func TestLedgerFails(t *testing.T) {
	log := &gate{}
	s := newServer(t, ingest.Config{}, func(l ingest.Log) ingest.Log { log.Log = l; return log })
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	log.fails.Store(true)
	a := s.submit(t, bundle)
	contains(t, a.problem, http.StatusServiceUnavailable, "try-later", "The ledger did not take the statement")
	if strings.Contains(a.problem.Detail, "secret") {
		t.Errorf("the answer tells internals: %s", a.problem.Detail)
	}
	log.fails.Store(false)
	s.accepted(t, s.submit(t, bundle).results[0], bundle)
}

// TestNoCheckpoint: a statement is safe although its receipt is late.
func TestNoCheckpoint(t *testing.T) {
	log := &gate{}
	log.noReceipt.Store(true)
	s := newServer(t, ingest.Config{ReceiptTimeout: time.Second}, func(l ingest.Log) ingest.Log { log.Log = l; return log })
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	s.stored(t, 1, func() {
		contains(t, s.submit(t, bundle).problem, http.StatusServiceUnavailable, "try-later", "no checkpoint covers it yet")
		log.noReceipt.Store(false)
		s.accepted(t, s.submit(t, bundle).results[0], bundle)
	})
}

// TestRevocation acts from the call's return on, on what is new.
func TestRevocation(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	signer := s.enrolled(t, "alice", nil)
	bundle := sign(t, signer, statement())
	s.accepted(t, s.submit(t, bundle).results[0], bundle)
	index, err := s.ingest.Revoke(t.Context(), signer.Public().Builder(), nil, "disk was copied")
	if err != nil {
		t.Fatal(err)
	}
	if index != 2 {
		t.Errorf("the revocation is at %d", index)
	}
	s.stored(t, 0, func() {
		contains(t, s.submit(t, sign(t, signer, statement())).problem, http.StatusForbidden, "key-not-valid", "was revoked from ledger index 2 on")
	})
	s.stored(t, 0, func() { // administrative entries that would change nothing are not written
		if _, err := s.ingest.Revoke(t.Context(), signingtest.New(t).Public().Builder(), nil, ""); !errors.Is(err, enrolment.ErrConflict) {
			t.Errorf("revoking a stranger: %v", err)
		}
		if _, err := s.ingest.Revoke(t.Context(), "nobody", nil, ""); err == nil {
			t.Error("revoking a malformed id is accepted")
		}
	})
}

// TestOneKeyOneOperator: a key enrolled twice, at once, belongs to one operator.
func TestOneKeyOneOperator(t *testing.T) {
	s := newServer(t, ingest.Config{}, nil)
	key := signingtest.New(t).Public()
	results := make([]error, 10)
	s.stored(t, 1, func() {
		var admins sync.WaitGroup
		for i := range results {
			admins.Go(func() {
				_, results[i] = s.ingest.Enrol(t.Context(), &enrolment.Enrolment{
					Builder: key.Builder(), PublicKey: key.DER(), Operator: "operator-" + string(rune('a'+i)), Tier: enrolment.Counted,
				})
			})
		}
		admins.Wait()
	})
	enrolled := 0
	for _, err := range results {
		if err == nil {
			enrolled++
		} else if !errors.Is(err, enrolment.ErrConflict) {
			t.Error(err)
		}
	}
	if enrolled != 1 {
		t.Errorf("%d of the enrolments were accepted, want one", enrolled)
	}
}

// gate stands before a real log and disturbs it.
type gate struct {
	ingest.Log
	entered, open chan struct{} // AppendPacked announces itself and waits, if there are such
	fails         atomic.Bool   // AppendPacked
	noReceipt     atomic.Bool   // until the context ends
}

func (g *gate) AppendPacked(ctx context.Context, entry ledger.Packed) (uint64, error) {
	if g.fails.Load() {
		return 0, errors.New("no space left on /var/lib/secret")
	}
	if g.open != nil && entry.Kind() == ledger.Attestation {
		close(g.entered)
		<-g.open
	}
	return g.Log.AppendPacked(ctx, entry)
}

func (g *gate) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	if g.noReceipt.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return g.Log.Receipt(ctx, index)
}
