package load

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/api"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/internal/wire"
	"repronet.dev/internal/wire/p2p"
	"repronet.dev/signing/signingtest"
)

// A target is what strangers know of a server.
type target struct {
	URL    string
	Peer   string // multiaddr
	Bundle []byte // of an enrolled builder, as the ledger has it for everybody
}

// host is the server's TCP address.
func (s *target) host() string { return strings.TrimPrefix(s.URL, "http://") }

// openBuilder is the name of a builder that is enrolled into tier open, and of its key.
const openBuilder = "stranger"

// attacks are what is tried.
func attacks() []attack {
	return []attack{
		{fmt.Sprintf("%d stalled compressed bodies", form.stalled), stalledBodies},
		{fmt.Sprintf("%d slow libp2p streams of %d peers", form.streams, form.peers), slowStreams},
		{"1,000 equal bundles, wrong signature", bombs},
		{fmt.Sprintf("60 filters of %d outputs", form.set), filters},
		{"slow exports", slowExports},
		{"searches", searches},
		{"deep pages", deepPages},
		{"bulk look-ups", lookUps},
		{"map proofs", mapProofs},
		{"evidence of unknown keys", unknownEvidence},
		{"an open builder's inventions", inventions},
	}
}

// stalledBodies decompress to almost as much as a request may have, and never end.
func stalledBodies(ctx context.Context, s *target) {
	var body bytes.Buffer
	z, err := zstd.NewWriter(&body, zstd.WithWindowSize(1<<20))
	if err == nil {
		_, err = z.Write(make([]byte, api.MaxRequestSize-(64<<10)))
	}
	if err == nil {
		err = z.Flush()
	}
	if err != nil {
		panic(err)
	}
	send := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Encoding: zstd\r\nContent-Length: %d\r\n\r\n%s",
		api.SubmitPath, api.LinesType, body.Len()+1000, body.Bytes())
	crowd(ctx, form.stalled, 5, func(ctx context.Context, _ *http.Client, i int) error { return hold(ctx, s, stranger(i%5), send, 0) })
}

// slowStreams send a request's body byte by byte.
func slowStreams(ctx context.Context, s *target) {
	var group sync.WaitGroup
	for range form.peers {
		group.Go(func() {
			for ctx.Err() == nil {
				s.slowPeer(ctx, form.streams/form.peers)
				sleep(ctx, 100*time.Millisecond)
			}
		})
	}
	group.Wait()
}

func (s *target) slowPeer(ctx context.Context, streams int) {
	location, peerID, err := wire.SplitMultiaddr(s.Peer)
	if err != nil {
		panic(err) // the server printed it
	}
	transport, err := p2p.NewTransport(location, peerID)
	if err != nil {
		panic(err)
	}
	defer transport.Close()
	client := &http.Client{Transport: transport}
	var group sync.WaitGroup
	for range streams {
		group.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, transport.BaseURL()+api.SubmitPath, &drip{ctx})
				if err != nil {
					return
				}
				request.Header.Set("Content-Type", api.LinesType)
				if _, err := do(client, request); err != nil {
					sleep(ctx, 50*time.Millisecond)
				}
			}
		})
	}
	group.Wait()
}

// A drip is a body that comes byte by byte.
type drip struct {
	ctx context.Context //nolint:containedctx // of the one request
}

func (d *drip) Read(p []byte) (int, error) {
	sleep(d.ctx, time.Second)
	if d.ctx.Err() != nil {
		return 0, io.ErrUnexpectedEOF
	}
	p[0] = ' '
	return 1, nil
}

// bombs are equal bundles of an enrolled builder, with a wrong signature: a few hundred
// bytes that ask for a thousand checks.
func bombs(ctx context.Context, s *target) {
	at := bytes.Index(s.Bundle, []byte(`"sig":"`)) + len(`"sig":"`)
	if at < len(`"sig":"`) {
		panic(fmt.Sprintf("no signature in %s", s.Bundle))
	}
	wrong := bytes.Clone(s.Bundle)
	wrong[at] = 'A' + (wrong[at]-'A'+1)%26
	body := compressed(bytes.Repeat(append(wrong, '\n'), api.MaxBundles))
	crowd(ctx, 8, 4, func(ctx context.Context, client *http.Client, _ int) error {
		return s.post(ctx, client, api.SubmitPath, body)
	})
}

func compressed(text []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err)
	}
	defer z.Close()
	return z.EncodeAll(text, nil)
}

// post sends lines that are compressed.
func (s *target) post(ctx context.Context, client *http.Client, path string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", api.LinesType)
	request.Header.Set("Content-Encoding", "zstd")
	_, err = do(client, request)
	return err
}

// filters ask for a filter without saying which one is there already.
func filters(ctx context.Context, s *target) {
	crowd(ctx, 60, 12, func(ctx context.Context, client *http.Client, _ int) error {
		_, err := get(ctx, client, s.URL+api.FilterPath(setName))
		return err
	})
}

// slowExports take a few bytes a second of everything.
func slowExports(ctx context.Context, s *target) {
	crowd(ctx, 24, 8, func(ctx context.Context, _ *http.Client, i int) error {
		path := []string{api.ExportVerdictsPath, api.ExportChangesPath}[i%2]
		return hold(ctx, s, stranger(i%8), []byte("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"), 50*time.Millisecond)
	})
}

// searches are for three letters each, which many names have, and for what none has.
func searches(ctx context.Context, s *target) {
	crowd(ctx, 24, 4, func(ctx context.Context, client *http.Client, i int) error {
		text := strings.ToLower(rand.Text())
		_, err := get(ctx, client, s.URL+"/search?q="+text[:3+i%10])
		return err
	})
}

// deepPages follow lists to their ends.
func deepPages(ctx context.Context, s *target) {
	crowd(ctx, 16, 4, func(ctx context.Context, client *http.Client, _ int) error {
		for cursor := ""; ; {
			text, err := get(ctx, client, s.URL+api.DivergencesPath+"?limit=1000&cursor="+url.QueryEscape(cursor))
			if err != nil {
				return err
			}
			var page struct{ Next string }
			if err := json.Unmarshal(text, &page); err != nil {
				return err
			}
			if cursor = page.Next; cursor == "" {
				return nil
			}
		}
	})
}

// lookUps ask for outputs one by one, as fast as they are answered.
func lookUps(ctx context.Context, s *target) {
	crowd(ctx, 64, 8, func(ctx context.Context, client *http.Client, i int) error {
		output := random(form.outputs)
		path := api.OutputsPath + "?name=" + url.QueryEscape(outputPath(output))
		if i%2 == 0 {
			path = api.OutputsPath + "?digest=" + digestOf(output, 0).String()
		}
		_, err := get(ctx, client, s.URL+path)
		return err
	})
}

// mapProofs ask for proofs about outputs that are there, and that are not.
func mapProofs(ctx context.Context, s *target) {
	crowd(ctx, 32, 4, func(ctx context.Context, client *http.Client, _ int) error {
		_, err := get(ctx, client, s.URL+api.MapProofPath+"?ecosystem=nix&name="+url.QueryEscape(outputPath(random(2*form.outputs))))
		return err
	})
}

// unknownEvidence is signed by keys that were made for it.
func unknownEvidence(ctx context.Context, s *target) {
	crowd(ctx, 4, 4, func(ctx context.Context, client *http.Client, _ int) error {
		var lines bytes.Buffer
		for range 100 {
			line, err := json.Marshal(api.Evidence{Kind: "narinfo", Body: inventedNarinfo()})
			if err != nil {
				return err
			}
			lines.Write(append(line, '\n'))
		}
		return s.post(ctx, client, api.EvidencePath, compressed(lines.Bytes()))
	})
}

// inventedNarinfo is a document of a key and an output that there were never before.
func inventedNarinfo() []byte {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "StorePath: %s\nNarHash: sha256:%064x\nNarSize: 100\nReferences:", outputPath(random(1<<40)), 7)
	for range 200 {
		fmt.Fprintf(&text, " %s", strings.TrimPrefix(outputPath(random(1<<40)), "/nix/store/"))
	}
	text.WriteString("\n")
	info, err := narinfo.Parse([]byte(text.String()))
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "%sSig: unknown-%s:%s\n", text.String(), rand.Text(), base64.StdEncoding.EncodeToString(ed25519.Sign(private, info.Fingerprint())))
}

// inventions are outputs that there are not, attested by a builder of tier open.
func inventions(ctx context.Context, s *target) {
	open := &builder{signer: signingtest.Named(openBuilder)}
	crowd(ctx, 4, 4, func(ctx context.Context, client *http.Client, _ int) error {
		var lines bytes.Buffer
		for range 20 {
			lines.Write(append(open.bundle(ctx, 1<<40+random(1<<40), 100), '\n'))
		}
		return s.post(ctx, client, api.SubmitPath, compressed(lines.Bytes()))
	})
}
