package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet/attestation"
	"repronet/e2e/network"
	"repronet/internal/wire"
	"repronet/signing"
)

// builder is one of the independent parties that the load comes from.
type builder struct {
	signer *signing.Signer
	number int
	chain  attestation.Chain
}

func enrolBuilders(ctx context.Context, a *network.Aggregator, dir string, n int) ([]*builder, error) {
	var builders []*builder
	for i := range n {
		text, err := signing.GenerateKey(signing.Ed25519)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, fmt.Sprintf("key-%d", i))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		signer, err := signing.LoadSigner(file)
		if err != nil {
			return nil, err
		}
		public := file + ".pub"
		if err := os.WriteFile(public, signer.Public().PEM(), 0o600); err != nil {
			return nil, err
		}
		if _, err := a.Command(ctx, "builders enrol", "--operator", fmt.Sprintf("operator-%d", i), "--key", public); err != nil {
			return nil, err
		}
		stream := sha256.Sum256([]byte{byte(i)})
		builders = append(builders, &builder{signer: signer, number: i, chain: attestation.Chain{Stream: fmt.Sprintf("%x", stream[:16])}})
	}
	return builders, nil
}

const nix32 = "0123456789abcdfghijklmnpqrsvwxyz"

// outputPath is the store path of the n-th output: spread over the key space as
// real hashes are.
func outputPath(n uint64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	hash := make([]byte, 32)
	for i := range hash {
		hash[i] = nix32[sum[i]&31]
	}
	return fmt.Sprintf("/nix/store/%s-package-%d.%d", hash, n%50000, n%7)
}

// digestOf is what a builder gets: 3 % of the outputs differ from one builder to
// another.
func digestOf(n uint64, builder int) attestation.Digest {
	seed := binary.BigEndian.AppendUint64([]byte("content"), n)
	if n%100 < 3 {
		seed = append(seed, byte(builder%2))
	}
	return sha256.Sum256(seed)
}

// statement makes a builder's next statement, about outputs first … first+n-1.
func (b *builder) statement(ctx context.Context, first uint64, n int, now time.Time) ([]byte, error) {
	s := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR, Chain: b.chain,
		Environment: map[string]string{"nix": "2.28.3", "system": "x86_64-linux", "kernel": "6.12.9", "cores": "16", "sandbox": "true", "tz": "+01:00"},
	}
	for i := range n {
		output := first + uint64(i)
		path := outputPath(output)
		s.Subjects = append(s.Subjects, attestation.Subject{Name: path, Digest: digestOf(output, b.number)})
		inputs := sha256.Sum256([]byte(path))
		s.Builds = append(s.Builds, attestation.Build{
			Name: path + ".drv", Outputs: []int{i}, Finished: now, Occasion: attestation.OccasionBuild, InputsDigest: inputs,
		})
	}
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	b.chain.Sequence++
	b.chain.Previous = sha256.Sum256(payload)
	return b.signer.SignPayload(ctx, payload)
}

// make signs enough bundles for so many observations: of each output by each of
// the builders.
func (b *bench) make(ctx context.Context, observations, outputs int) ([][]byte, error) {
	statements := observations / outputs / len(b.builders)
	now := time.Now().Truncate(time.Second)
	bundles := make([][]byte, statements*len(b.builders))
	first := b.made
	b.made += statements * outputs
	var group errgroup.Group
	for i, builder := range b.builders {
		group.Go(func() error {
			for j := range statements {
				bundle, err := builder.statement(ctx, uint64(first+j*outputs), outputs, now)
				if err != nil {
					return err
				}
				bundles[j*len(b.builders)+i] = bundle
			}
			return nil
		})
	}
	return bundles, group.Wait()
}

// connections is how many reporters submit at once.
const connections = 16

// requestSize is about what a reporter puts into one request.
const requestSize = 512 << 10

// submit sends bundles as reporters do, several in a request, and returns when
// the last is acknowledged.
func (b *bench) submit(ctx context.Context, bundles [][]byte) (time.Duration, error) {
	var requests [][]byte
	var counts []int
	for len(bundles) > 0 {
		var body bytes.Buffer
		n := 0
		for n < len(bundles) && n < wire.MaxBundles && (n == 0 || body.Len()+len(bundles[n]) < requestSize) {
			body.Write(bundles[n])
			body.WriteByte('\n')
			n++
		}
		requests, counts, bundles = append(requests, body.Bytes()), append(counts, n), bundles[n:]
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 2 * time.Minute}
	defer client.CloseIdleConnections()
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for i, body := range requests {
		group.Go(func() error { return b.post(ctx, client, body, counts[i]) })
	}
	err := group.Wait()
	return time.Since(begin), err
}

var receiptMark = []byte(`"receipt":`)

// post sends one request and counts the receipts of the answer; that they verify
// is what the latency measurement and the tests check.
func (b *bench) post(ctx context.Context, client *http.Client, body []byte, bundles int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.aggregator.URL+wire.SubmitPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", wire.LinesType)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(response.Body); err != nil {
		return err
	}
	if n := bytes.Count(buffer.Bytes(), receiptMark); response.StatusCode != http.StatusOK || n != bundles {
		return fmt.Errorf("%s: %d receipts for %d bundles: %.300s", response.Status, n, bundles, buffer)
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

type summary struct {
	Observations uint64 `json:"observations"`
	LedgerSize   uint64 `json:"ledger_size"`
	Indexed      uint64 `json:"indexed"`
}

func (b *bench) summary(ctx context.Context) (s summary, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.aggregator.URL+"/api/v1/summary", http.NoBody)
	if err != nil {
		return s, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return s, errors.Join(err, json.Unmarshal(text, &s))
}

// settled waits until the index has caught up.
func (b *bench) settled(ctx context.Context) error {
	for {
		s, err := b.summary(ctx)
		if err != nil {
			return err
		}
		if s.Indexed == s.LedgerSize {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill stores what is to be there before anything is measured.
func (b *bench) fill(ctx context.Context) error {
	begin := time.Now()
	for stored := 0; stored < b.stored; {
		n := min(b.sample, b.stored-stored)
		bundles, err := b.make(ctx, n, 100)
		if err != nil {
			return err
		}
		if _, err := b.submit(ctx, bundles); err != nil {
			return err
		}
		stored += n
		s, err := b.summary(ctx)
		if err != nil {
			return err
		}
		progress("stored %d of %d observations, %d indexed, %.0f s", stored, b.stored, s.Observations, time.Since(begin).Seconds())
	}
	return b.settled(ctx)
}
