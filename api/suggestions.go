package api

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"repronet.dev/signing"
)

// SuggestionQuery asks what is worth building next of a package set.
type SuggestionQuery struct {
	Set    string
	System string // only outputs for this system, such as "x86_64-linux"; "" for all
	// Builder is who asks: what its operator has built, or failed to build, is left out,
	// since nobody confirms what is their own. "" for nobody in particular.
	Builder signing.BuilderID
	Limit   int // 1 to 1,000
}

// Suggestions are builds of a package set that are worth making, the best first.
type Suggestions struct {
	Set      string `json:"set"`
	Revision string `json:"revision"`
	// Confirmable counts the set's outputs that exactly one operator has, and Unbuilt those that
	// nobody has, for the system and without what the asking operator has.
	Confirmable uint64       `json:"confirmable"`
	Unbuilt     uint64       `json:"unbuilt"`
	Suggestions []Suggestion `json:"suggestions"`
}

// Suggestion is one build.
type Suggestion struct {
	Build     string   `json:"build,omitempty"` // the recipe, where anything says it
	Ecosystem string   `json:"ecosystem"`
	Outputs   []string `json:"outputs"`             // keys of those that are wanted
	Attribute string   `json:"attribute,omitempty"` // in the set
	System    string   `json:"system,omitempty"`
	Reason    Reason   `json:"reason"`
	// Since is when the one operator's claim came; absent where nobody has built it.
	Since *time.Time `json:"since,omitempty"`
	// Dependents are the outputs of the set that are built with one of Outputs.
	Dependents uint64 `json:"dependents"`
}

// SuggestionsPath is where [Client.Suggestions] asks.
const SuggestionsPath = "/api/v1/suggestions"

// Query is how the query is written in a URL.
func (q SuggestionQuery) Query() url.Values {
	v := url.Values{"set": {q.Set}}
	for name, value := range map[string]string{"system": q.System, "builder": string(q.Builder)} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// URL is the query of a path.
func (q SuggestionQuery) URL(path string) string { return path + "?" + q.Query().Encode() }

// Suggestions says what is worth building next.
func (c *Client) Suggestions(ctx context.Context, query SuggestionQuery) (*Suggestions, error) {
	return document[Suggestions](ctx, c, SuggestionsPath, query.Query(), maxDocument)
}
