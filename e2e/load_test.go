package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// A load is statements that several builders sign and submit side by side, and
// what they were told about them.
type load struct {
	base string
	key  note.Verifier // of the ledger
	kick chan struct{} // gets a value for each request that is acknowledged

	mu           sync.Mutex // guards the rest
	acknowledged map[attestation.Digest]uint64
	statements   map[attestation.Digest]*attestation.Statement
}

func newLoad(base string, key note.Verifier) *load {
	return &load{
		base: base, key: key, kick: make(chan struct{}, 1),
		acknowledged: map[attestation.Digest]uint64{}, statements: map[attestation.Digest]*attestation.Statement{},
	}
}

// A loader is one builder of a load. It speaks of the same few outputs as the
// others, and sometimes of other digests.
type loader struct {
	*load
	signer *signing.Signer
	random *mathrand.Rand
	stream string
	next   uint64
	last   attestation.Digest // payload of the statement before
}

// newLoader enrols a builder of an operator.
func newLoader(t *testing.T, l *load, s *server, operator string, seed uint64) *loader {
	t.Helper()
	signer := signingtest.New(t)
	file := filepath.Join(t.TempDir(), "builder.pub")
	if err := os.WriteFile(file, signer.Public().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Command(t.Context(), "builders enrol", "--operator", operator, "--key", file); err != nil {
		t.Fatal(err)
	}
	stream := make([]byte, 16)
	rand.Read(stream)
	return &loader{load: l, signer: signer, random: mathrand.New(mathrand.NewPCG(seed, 0)), stream: hex.EncodeToString(stream)}
}

// loadOutputs is the number of outputs that a load speaks of.
const loadOutputs = 40

// statement makes the builder's next statement: mostly of builds, sometimes a
// withdrawal, a failure, or a second statement in the place of the last.
func (l *loader) statement() *attestation.Statement {
	if l.next > 0 && l.random.IntN(40) == 0 {
		l.next-- // equivocates
		l.last = attestation.Digest{}
		if l.next > 0 {
			l.last = sha256.Sum256([]byte("another history"))
		}
	}
	s := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Chain:       attestation.Chain{Stream: l.stream, Sequence: l.next, Previous: l.last},
		Environment: map[string]string{"os": "test"},
	}
	now := time.Now().UTC().Truncate(time.Second)
	kind := l.random.IntN(20)
	first := l.random.IntN(loadOutputs)
	for i := range 1 + l.random.IntN(4) {
		n := (first + i) % loadOutputs
		build := fmt.Sprintf("load/p%d-1.0", n)
		variant := 0
		if n%3 == 0 {
			variant = l.random.IntN(2)
		}
		subject := attestation.Subject{Name: build + "^bin", Digest: sha256.Sum256(fmt.Append(nil, n, variant))}
		b := attestation.Build{Name: build, Outputs: []int{i}, Finished: now, Occasion: attestation.OccasionBuild}
		if l.random.IntN(2) == 0 {
			b.InputsDigest = sha256.Sum256(fmt.Append(nil, "inputs", l.random.IntN(2)))
		}
		switch kind {
		case 0:
			s.Type, s.Reason = attestation.Withdraw, "a mistake"
		case 1:
			s.Type, subject.Name = attestation.BuildFailed, build
			b.Failure, b.InputsDigest = "no space left", attestation.Digest{}
			s.Builds = append(s.Builds, b)
		default:
			s.Builds = append(s.Builds, b)
		}
		s.Subjects = append(s.Subjects, subject)
	}
	return s
}

// run submits until ctx ends, and repeats what is not acknowledged. Its error
// means that an answer was wrong, not that there was none.
func (l *loader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		var bundles [][]byte
		for range 1 + l.random.IntN(4) {
			statement := l.statement()
			payload, err := statement.Encode()
			if err != nil {
				return err
			}
			bundle, err := l.signer.SignPayload(ctx, payload)
			if err != nil {
				return err
			}
			l.last, l.next = sha256.Sum256(payload), l.next+1
			l.sent(l.last, statement)
			bundles = append(bundles, bundle)
		}
		// The last one is delivered whatever happens.
		for {
			taken, err := l.submit(context.WithoutCancel(ctx), bundles)
			if err != nil {
				return err
			}
			if taken {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func (l *load) sent(payload attestation.Digest, s *attestation.Statement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statements[payload] = s
}

// submit sends bundles once, and notes the receipts. It tells whether all were
// taken.
func (l *load) submit(ctx context.Context, bundles [][]byte) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+api.SubmitPath, bytes.NewReader(bytes.Join(bundles, []byte("\n"))))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", api.LinesType)
	if len(bundles)%2 == 0 { // a program that reads entries of version 2, among older ones
		request.Header.Set(api.EntryVersionHeader, "2")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, nil // killed
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable {
		return false, nil
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return false, fmt.Errorf("submitting: %s: %s", response.Status, text)
	}
	taken = true
	for decoder := json.NewDecoder(response.Body); len(bundles) > 0; bundles = bundles[1:] {
		var result api.Result
		if err := decoder.Decode(&result); err != nil {
			return false, nil // killed while it answered
		}
		if result.Problem != nil && result.Problem.Status == http.StatusServiceUnavailable {
			taken = false
			continue
		}
		if err := l.note(bundles[0], &result); err != nil {
			return false, err
		}
	}
	if taken {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
	return taken, nil
}

// note checks a receipt and keeps it. A later one for the same statement must
// have the same index.
func (l *load) note(bundle []byte, result *api.Result) error {
	if result.Problem != nil {
		return fmt.Errorf("submitting: %w", result.Problem)
	}
	entry, err := result.Receipt.Verify(l.key)
	if err != nil {
		return err
	}
	builder, payload, err := signing.Peek(entry.Body)
	if err != nil {
		return err
	}
	wantBuilder, want, err := signing.Peek(bundle)
	if err != nil {
		return err
	}
	if payload != want || builder != wantBuilder {
		return fmt.Errorf("the receipt at index %d is for another statement", result.Receipt.Index)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if index, known := l.acknowledged[payload]; known && index != result.Receipt.Index {
		return fmt.Errorf("a statement was acknowledged at index %d, then at %d", index, result.Receipt.Index)
	}
	l.acknowledged[payload] = result.Receipt.Index
	return nil
}
