package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/manifest"
	"repronet.dev/signing"
)

// Paths of manifests: what is in outputs that diverge, file by file, signed by those who
// built them (package manifest).
const (
	ManifestsPath       = "/api/v1/manifests"        // POST hands one in; GET ?output=KEY: [Differences]
	WantedManifestsPath = "/api/v1/manifests/wanted" // ?builder=ID: [WantedManifests]
	ManifestPath        = "/api/v1/manifest"         // ?output=KEY&digest=D&builder=ID: the document
)

// Differences says where the builds of an output that diverges differ, by what the builders
// signed of them. No verdict depends on it.
type Differences struct {
	Output string `json:"output"` // key
	// Manifests are those that there are of builds that count, by digest and builder.
	Manifests []Manifest `json:"manifests"`
	// Pairs compare the digest that most operators have, of which there is a manifest, with each other one.
	Pairs []DifferingPair `json:"pairs"`
}

// Manifest is one builder's list of what is in an output.
type Manifest struct {
	Digest   string `json:"digest"` // of the output: "sha256:" and hex
	Builder  string `json:"builder"`
	Operator string `json:"operator"`
}

// DifferingPair says where two builds of an output differ.
type DifferingPair struct {
	First  Manifest `json:"first"`
	Second Manifest `json:"second"`
	manifest.Difference
}

// WantedManifests are outputs that diverge, of which a builder has a digest, and has handed in
// no manifest.
type WantedManifests struct {
	Outputs []WantedManifest `json:"outputs"`
	Next    string           `json:"next,omitempty"` // cursor of the next page, "" at the end
}

// WantedManifest is one of them.
type WantedManifest struct {
	Output    string `json:"output"` // key
	Ecosystem string `json:"ecosystem"`
}

// ManifestKept is the answer to a manifest that was handed in.
type ManifestKept struct {
	ID        string `json:"id"`                 // of the document: "sha256:" and hex
	Duplicate bool   `json:"duplicate,omitzero"` // there was one of this builder for this digest, which stays
}

// WantedManifests asks which manifests of a builder are wanted, a page at a time.
func (c *Client) WantedManifests(ctx context.Context, builder signing.BuilderID, cursor string) (*WantedManifests, error) {
	query := url.Values{"builder": {string(builder)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return document[WantedManifests](ctx, c, WantedManifestsPath, query, maxDocument)
}

// Differences says where the builds of an output differ.
func (c *Client) Differences(ctx context.Context, output string) (*Differences, error) {
	return document[Differences](ctx, c, ManifestsPath, url.Values{"output": {output}}, maxDocument)
}

// Manifest fetches a builder's manifest of an output with a digest, which [manifest.Open] checks.
func (c *Client) Manifest(ctx context.Context, output string, digest attestation.Digest, builder signing.BuilderID) ([]byte, error) {
	query := url.Values{"output": {output}, "digest": {digest.String()}, "builder": {string(builder)}}
	return c.get(ctx, ManifestPath, query, manifest.MaxDocument, LinesType)
}

// SubmitManifest hands a manifest in, as [manifest.Sign] writes it. The error of one that is
// not taken is an [AnswerError] with a [Problem].
func (c *Client) SubmitManifest(ctx context.Context, text []byte) (*ManifestKept, error) {
	if len(text) > manifest.MaxDocument {
		return nil, fmt.Errorf("handing in a manifest: %d bytes, at most %d are taken", len(text), manifest.MaxDocument)
	}
	body, err := compress([][]byte{bytes.TrimSuffix(text, []byte("\n"))})
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+ManifestsPath, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	request.Header.Set("Content-Type", LinesType)
	request.Header.Set("Content-Encoding", "zstd")
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	answer, err := c.whole(response, maxDocument, jsonType)
	if err != nil {
		return nil, err
	}
	var kept ManifestKept
	if err := json.Unmarshal(answer, &kept); err != nil {
		return nil, fmt.Errorf("parsing the aggregator's answer: %w", err)
	}
	return &kept, nil
}
