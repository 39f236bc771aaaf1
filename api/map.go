package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// A MapProof is what the newest verifiable map that the ledger commits to says of
// an output, and of the enrolments and revocations: see package outputmap.
type MapProof struct {
	Receipt *ledger.Receipt `json:"receipt" doc:"Of the entry with the map's root."`
	Output  jsontext.Value  `json:"output"` // outputmap.Proof
	Roster  jsontext.Value  `json:"roster"` // likewise
}

// A MapBucket is what the newest map says of all outputs whose IDs have a prefix, and of
// the enrolments and revocations. Nothing in the request or the answer depends on which of
// these outputs is meant. White space makes its JSON as long as [PaddedSize] says, and
// nothing compresses it on its way.
type MapBucket struct {
	Receipt *ledger.Receipt `json:"receipt" doc:"Of the entry with the map's root."`
	Bucket  jsontext.Value  `json:"bucket"` // outputmap.Bucket
	Roster  jsontext.Value  `json:"roster"` // outputmap.Proof
}

// minPadded is the size of the smallest answer that is padded.
const minPadded = 16 << 10

// PaddedSize is the size of a padded answer that has n bytes without: the next power of two
// from 16 KiB on. So its length tells of a bucket no more than the power.
func PaddedSize(n int) int {
	size := minPadded
	for size < n {
		size *= 2
	}
	return size
}

// MapProof asks what the newest map says of an output. If the ledger commits to no map
// yet, the error is an [fs.ErrNotExist].
func (c *Client) MapProof(ctx context.Context, ecosystem, name string) (*MapProof, error) {
	return document[MapProof](ctx, c, MapProofPath, url.Values{"ecosystem": {ecosystem}, "name": {name}}, maxDocument)
}

// MapBucket asks what the newest map says of all outputs whose IDs have a prefix. If the
// ledger commits to no map yet, or the aggregator is of a version without this, the error is
// an [fs.ErrNotExist].
func (c *Client) MapBucket(ctx context.Context, prefix attestation.Prefix) (*MapBucket, error) {
	return padded[MapBucket](ctx, c, MapBucketPath(prefix))
}

// padded reads an answer whose length is to tell nothing: compressed it would.
func padded[T any](ctx context.Context, c *Client, path string) (*T, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	text, err := c.whole(response, maxDocument, jsonType)
	if err != nil {
		return nil, err
	}
	answer := new(T)
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", request.URL, err)
	}
	return answer, nil
}
