package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/e2e/network"
	"repronet.dev/signing"
)

// builder is one of the independent parties that the load comes from.
type builder struct {
	signer *signing.Signer
	number int
	chain  attestation.Chain
}

// enrolBuilders makes n builders, unless their keys are in dir, and enrols those
// that are not.
func enrolBuilders(ctx context.Context, a *network.Aggregator, dir string, n int) ([]*builder, error) {
	enrolled, err := a.Command(ctx, "builders list")
	if err != nil {
		return nil, err
	}
	var builders []*builder
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("key-%d", i))
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			text, err := signing.GenerateKey(signing.Ed25519)
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return nil, err
			}
		}
		signer, err := signing.LoadSigner(file)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(enrolled, string(signer.Public().Builder())) {
			public := file + ".pub"
			if err := os.WriteFile(public, signer.Public().PEM(), 0o600); err != nil {
				return nil, err
			}
			if _, err := a.Command(ctx, "builders enrol", "--operator", fmt.Sprintf("operator-%d", i), "--key", public); err != nil {
				return nil, err
			}
		}
		stream := make([]byte, 16) // of this run
		rand.Read(stream)
		builders = append(builders, &builder{signer: signer, number: i, chain: attestation.Chain{Stream: hex.EncodeToString(stream)}})
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
	return fmt.Sprintf("/nix/store/%s-package%d-1.%d", hash, n%50000, n%7)
}

// diverges tells whether the builders got different digests: 3 % of the outputs.
func diverges(n uint64) bool { return n%100 < 3 }

// digestOf is what a builder gets.
func digestOf(n uint64, builder int) attestation.Digest {
	seed := binary.BigEndian.AppendUint64([]byte("content"), n)
	if diverges(n) {
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

// make signs bundles of each of the builders about so many new outputs, of which
// it returns the first. All that is said of the same outputs is side by side.
func (s *site) make(ctx context.Context, outputs, each int) (bundles [][]byte, first uint64, err error) {
	now := time.Now().Truncate(time.Second)
	if first, err = s.next(outputs); err != nil {
		return nil, 0, err
	}
	bundles = make([][]byte, (outputs+each-1)/each*len(s.builders))
	var group errgroup.Group
	for i, builder := range s.builders {
		group.Go(func() error {
			for done := 0; done < outputs; done += each {
				bundle, err := builder.statement(ctx, first+uint64(done), min(each, outputs-done), now)
				if err != nil {
					return err
				}
				bundles[done/each*len(s.builders)+i] = bundle
			}
			return nil
		})
	}
	return bundles, first, group.Wait()
}

// connections is how many reporters submit at once. Each waits for its receipts,
// and so for a checkpoint, before it sends more.
const connections = 64

// requestSize is about what a reporter puts into one request.
const requestSize = 512 << 10

// submit sends bundles as reporters do, several in a request, and returns when
// the last is acknowledged.
func (s *site) submit(ctx context.Context, bundles [][]byte) (time.Duration, error) {
	var requests [][]byte
	var counts []int
	for len(bundles) > 0 {
		var body bytes.Buffer
		n := 0
		for n < len(bundles) && n < api.MaxBundles && (n == 0 || body.Len()+len(bundles[n]) < requestSize) {
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
		group.Go(func() error { return s.post(ctx, client, body, counts[i]) })
	}
	err := group.Wait()
	return time.Since(begin), err
}

var receiptMark = []byte(`"receipt":`)

// post sends one request and counts the receipts of the answer; that they verify
// is what the latency measurement and the tests check.
func (s *site) post(ctx context.Context, client *http.Client, body []byte, bundles int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+api.SubmitPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", api.LinesType)
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

// fill stores observations until there are so many.
func (b *bench) fill(ctx context.Context, stored int) error {
	begin := time.Now()
	if err := b.count(ctx); err != nil {
		return err
	}
	for b.held < uint64(stored) {
		progress("stored %d of %d observations, %.0f s", b.held, stored, time.Since(begin).Seconds())
		outputs := max(1, min(b.sample, stored-int(b.held))/builders)
		bundles, _, err := b.filled.make(ctx, outputs, 100)
		if err != nil {
			return err
		}
		if _, err := b.filled.submit(ctx, bundles); err != nil {
			return err
		}
		b.held += uint64(outputs * builders)
	}
	return b.filled.settled(ctx)
}

// whole is of how many outputs, the first, it is certain that all builders have
// spoken: a measurement may have stopped in the middle of later ones.
func (b *bench) whole() uint64 { return min(b.held, uint64(b.stored)) / builders }

// count asks how much is stored, when all of it is indexed.
func (b *bench) count(ctx context.Context) error {
	if err := b.filled.settled(ctx); err != nil {
		return err
	}
	s, err := b.filled.summary(ctx)
	b.held = s.Observations
	return err
}
