package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/e2e/network"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// setName is the package set of which the filters are.
const setName = "everything"

// A site is an aggregator with history, and the honest builder.
type site struct {
	*network.Aggregator
	target
	key    note.Verifier // of the ledger
	honest *builder
	made   atomic.Uint64 // outputs that were spoken of
}

// newSite starts an aggregator and gives it a history.
func newSite(t *testing.T, programs network.Programs, n *sizes) *site {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "messages"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("map_interval: 2s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{}
	s.Aggregator, err = network.StartAggregator(context.WithoutCancel(t.Context()), programs, filepath.Join(t.TempDir(), "data"), log,
		"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms", "--config", config, "--libp2p", "/ip4/127.0.0.1/tcp/0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(), log.Close()); err != nil {
			t.Errorf("the aggregator ended with: %v", err)
		}
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the end of the aggregator's messages:\n%s", text[max(0, len(text)-4000):])
		}
	})
	s.target = target{URL: s.Aggregator.URL, Peer: s.Addresses[0]}
	client := &api.Client{HTTP: http.DefaultClient, Base: s.target.URL}
	text, err := client.LogKey(t.Context())
	if err == nil {
		s.key, err = note.NewVerifier(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.fill(t, n)
	s.publish(t, n.set)
	s.Bundle = s.honest.bundle(t.Context(), s.next(1), 1)
	if err := s.receipt(t.Context(), http.DefaultClient, s.Bundle); err != nil {
		t.Fatal(err)
	}
	s.enrol(t, signingtest.Named(openBuilder), openBuilder, "open")
	s.settle(t, client)
	return s
}

// next reserves outputs that no claim names yet, and returns the first.
func (s *site) next(outputs int) uint64 { return s.made.Add(uint64(outputs)) - uint64(outputs) }

// fill has three builders attest the first outputs.
func (s *site) fill(t *testing.T, n *sizes) {
	t.Helper()
	s.honest = s.enrol(t, signingtest.New(t), "honest", "counted")
	builders := []*builder{s.honest, s.enrol(t, signingtest.New(t), "second", "counted"), s.enrol(t, signingtest.New(t), "third", "counted")}
	s.next(n.outputs)
	client := &http.Client{Timeout: time.Minute}
	const each, inRequest = 100, 50
	for i, b := range builders {
		var lines bytes.Buffer
		for first := 0; first < n.outputs; first += each {
			b.number = i
			lines.Write(append(b.bundle(t.Context(), uint64(first), min(each, n.outputs-first)), '\n'))
			if (first/each+1)%inRequest == 0 || first+each >= n.outputs {
				if err := s.post(t.Context(), client, api.SubmitPath, compressed(lines.Bytes())); err != nil {
					t.Fatal(err)
				}
				lines.Reset()
			}
		}
	}
}

// publish publishes the set.
func (s *site) publish(t *testing.T, outputs int) {
	t.Helper()
	var lines strings.Builder
	for n := range outputs {
		fmt.Fprintln(&lines, outputPath(uint64(n)))
	}
	file := filepath.Join(t.TempDir(), "set")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Command(t.Context(), "sets publish", "--revision", "1", "--from", file, setName); err != nil {
		t.Fatal(err)
	}
}

// settle waits until everything is indexed, and in a map.
func (s *site) settle(t *testing.T, client *api.Client) {
	t.Helper()
	for {
		summary, err := client.Summary(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.MapProof(t.Context(), "nix", outputPath(0))
		if err == nil && summary.Indexed == summary.LedgerSize {
			return
		}
		sleep(t.Context(), 100*time.Millisecond)
		if t.Context().Err() != nil {
			t.Fatal(context.Cause(t.Context()))
		}
	}
}

// A builder attests outputs.
type builder struct {
	signer *signing.Signer
	number int
}

func (s *site) enrol(t *testing.T, signer *signing.Signer, operator, tier string) *builder {
	t.Helper()
	b := &builder{signer: signer}
	file := filepath.Join(t.TempDir(), "builder.pub")
	if err := os.WriteFile(file, b.signer.Public().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Command(t.Context(), "builders enrol", "--operator", operator, "--tier", tier, "--key", file); err != nil {
		t.Fatal(err)
	}
	return b
}

// bundle makes a statement about the outputs from first on.
func (b *builder) bundle(ctx context.Context, first uint64, outputs int) []byte {
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Environment: map[string]string{"nix": "2.28.3", "system": "x86_64-linux"},
	}
	for i := range outputs {
		path := outputPath(first + uint64(i))
		statement.Subjects = append(statement.Subjects, attestation.Subject{Name: path, Digest: digestOf(first+uint64(i), b.number)})
		statement.Builds = append(statement.Builds, attestation.Build{
			Name: path + ".drv", Outputs: []int{i}, Finished: time.Now().UTC().Truncate(time.Second), Occasion: attestation.OccasionBuild,
		})
	}
	payload, err := statement.Encode()
	if err != nil {
		panic(err)
	}
	bundle, err := b.signer.SignPayload(ctx, payload)
	if err != nil {
		panic(err)
	}
	return bundle
}

const nix32 = "0123456789abcdfghijklmnpqrsvwxyz"

// outputPath is the store path of the n-th output.
func outputPath(n uint64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	hash := make([]byte, 32)
	for i := range hash {
		hash[i] = nix32[sum[i]&31]
	}
	return fmt.Sprintf("/nix/store/%s-package-%d.%d", hash, n%50000, n%7)
}

// digestOf is what a builder gets: every tenth output diverges.
func digestOf(n uint64, builder int) attestation.Digest {
	seed := binary.BigEndian.AppendUint64(nil, n)
	if n%10 == 0 {
		seed = append(seed, byte(builder%2))
	}
	return sha256.Sum256(seed)
}

func random[N int | uint64](below N) uint64 {
	n, err := rand.Int(rand.Reader, new(big.Int).SetUint64(uint64(below)))
	if err != nil {
		panic(err)
	}
	return n.Uint64()
}
