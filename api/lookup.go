package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// LookupPath answers what is known under each of many keys, in one request: POST of a JSON
// array of strings (application/json), or of a key on each line (text/plain). The answer
// has the same order: a [Lookups] document, or a [Lookup] on each line.
//
// A key is a digest in any spelling, an output's key, a build's name, such as a
// derivation, or a package URL that names a build exactly. Keys are tried in the
// ecosystems that package ecosystem knows.
const LookupPath = "/api/v1/lookup"

// Limits of one request to look up.
const (
	MaxLookupKeys = 10_000
	MaxLookupKey  = 1024    // bytes of a key; a longer one is answered as invalid
	MaxLookupSize = 4 << 20 // bytes of a request
	// MaxLookupOutputs is how many outputs are listed under a key.
	MaxLookupOutputs = 8
)

// TextType is that of a request with a key on each line.
const TextType = "text/plain"

// MaxBucketOutputs is how many outputs a bucket has at most that is answered at once.
const MaxBucketOutputs = 4096

// BucketPath is where the outputs are whose IDs have a prefix, whatever is meant among them:
// [OutputBucket].
func BucketPath(prefix attestation.Prefix) string { return LookupPath + "/" + string(prefix) }

// OutputBucket is what the index says of all outputs whose IDs have a prefix. White space
// makes its JSON as long as [PaddedSize] says, and nothing compresses it on its way.
type OutputBucket struct {
	Outputs []FoundOutput `json:"outputs" doc:"By key."`
}

// Bucket looks up all outputs whose IDs have a prefix: which of them is meant is not told.
// [MapBucket] has proof of what is known of them.
func (c *Client) Bucket(ctx context.Context, prefix attestation.Prefix) (*OutputBucket, error) {
	return padded[OutputBucket](ctx, c, BucketPath(prefix))
}

// Lookups is the answer about many keys.
type Lookups struct {
	Indexed uint64   `json:"indexed" doc:"How many ledger entries the answer covers at least."`
	Keys    []Lookup `json:"keys" doc:"One for each key, in order."`
}

// Lookup is what is known under one key.
type Lookup struct {
	Key     string        `json:"key" doc:"As it was asked for; of a key that is too long, its beginning."`
	Kind    KeyKind       `json:"kind,omitempty" doc:"What the key was taken for."`
	State   LookupState   `json:"state"`
	Reason  string        `json:"reason,omitempty" doc:"Why a key is invalid."`
	Outputs []FoundOutput `json:"outputs" doc:"At most 8."`
	More    bool          `json:"more,omitzero" doc:"There are more outputs than those: look the key up by itself."`
}

// FoundOutput is what is said of an output in short; [Output] has all of it.
type FoundOutput struct {
	Key       string  `json:"key"`
	Ecosystem string  `json:"ecosystem"`
	Verdict   Verdict `json:"verdict"`
	Shape     Shape   `json:"shape,omitempty"`
	Operators int     `json:"operators"`
	// Factions are the digests that counted operators hold, the one with the most first.
	Factions []Faction `json:"factions"`
}

// Lookup looks up to [MaxLookupKeys] keys up in one request.
func (c *Client) Lookup(ctx context.Context, keys []string) (*Lookups, error) {
	asked, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("looking up %d keys: %w", len(keys), err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+LookupPath, bytes.NewReader(asked))
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	request.Header.Set("Content-Type", jsonType)
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	text, err := c.whole(response, maxDocument, jsonType)
	if err != nil {
		return nil, err
	}
	answer := new(Lookups)
	if err = json.Unmarshal(text, answer); err == nil && len(answer.Keys) != len(keys) {
		err = fmt.Errorf("it is about %d keys, and %d were asked for", len(answer.Keys), len(keys))
	}
	for i := range answer.Keys {
		if err == nil && len(keys[i]) <= MaxLookupKey && answer.Keys[i].Key != keys[i] {
			err = fmt.Errorf("it is about %.100q in the place of %.100q", answer.Keys[i].Key, keys[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s%s: %w", c.Base, LookupPath, err)
	}
	return answer, nil
}
