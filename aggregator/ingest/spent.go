package ingest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// A written is what an account has written, as it is kept over a start.
type written struct {
	What  string    `json:"what"`
	Name  string    `json:"name,omitempty"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"` // since when the bytes are fewer
}

// Spent returns what was written of the budgets, to be kept over a start, in one spelling.
// Networks are left out: addresses of people are not kept.
func (in *Ingest) Spent() ([]byte, error) {
	in.spending.mu.Lock()
	list := []written{}
	for key, of := range in.spending.accounts {
		if of.bytes >= 1 && key.what != "network" {
			list = append(list, written{key.what, key.name, int64(of.bytes), of.at.UTC()})
		}
	}
	in.spending.mu.Unlock()
	slices.SortFunc(list, func(a, b written) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name)) })
	return json.Marshal(list)
}

// Restore takes up what [Ingest.Spent] returned before the start, so that a start begins no
// new day.
func (in *Ingest) Restore(text []byte) error {
	var list []written
	if err := attestation.DecodeStrict(text, &list); err != nil {
		return fmt.Errorf("reading what was written of the budgets: %w", err)
	}
	in.spending.mu.Lock()
	defer in.spending.mu.Unlock()
	now := time.Now()
	for _, w := range list {
		if w.At.After(now) { // the clock was ahead
			w.At = now
		}
		in.spending.accounts[accountKey{w.What, w.Name}] = &spent{bytes: float64(w.Bytes), at: w.At}
	}
	return nil
}
