package spool

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
	"repronet.dev/signing"
)

const (
	stateFile    = "state.json"
	maxStateSize = 16 << 20
)

// state is what outlives the statements: see [Writer].
type state struct {
	// Stream names this installation's chain. It is chosen with the file, and
	// anew with each builder.
	Stream  string            `json:"stream"`
	Builder signing.BuilderID `json:"builder,omitempty"` // who signs
	// Next and Previous are the chain's head among the statements that are
	// settled; statements in the outbox may be beyond it.
	Next     uint64             `json:"next"`
	Previous attestation.Digest `json:"previous,omitzero"`
	// Skipped are payloads that were refused and that no acknowledged statement
	// has bridged yet.
	Skipped []attestation.Digest `json:"skipped,omitempty"`
	// Remove are files that this state has accounted for; a writer that reads them
	// here deletes them first.
	Remove []string `json:"remove,omitempty"`

	Acknowledged Acknowledged `json:"acknowledged"`
	Private      uint64       `json:"private"` // outputs
}

// Acknowledged counts what the ledger has for certain.
type Acknowledged struct {
	Statements uint64    `json:"statements"`
	Outputs    uint64    `json:"outputs"`
	LastIndex  *uint64   `json:"lastIndex,omitempty"` // of a ledger entry
	LastTime   time.Time `json:"lastTime,omitzero"`
}

func newState() *state {
	var random [16]byte
	rand.Read(random[:])
	return &state{Stream: hex.EncodeToString(random[:])}
}

func (s *Spool) readState() (*state, error) {
	data, err := s.read(maxStateSize, stateFile)
	if err != nil {
		return nil, err
	}
	var st state
	if err := attestation.DecodeStrict(data, &st); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): move it away to begin a new chain of statements", filepath.Join(s.dir, stateFile), err)
	}
	return &st, nil
}

func (s *Spool) writeState(st *state) error {
	data, err := json.Marshal(st, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("writing spool's state: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(s.dir, stateFile), data, 0o600); err != nil {
		return fmt.Errorf("writing spool's state: %w", err)
	}
	return nil
}

// advance moves the head of the chain past a statement.
func (st *state) advance(item *Item) {
	if item.Stream == st.Stream && item.Sequence >= st.Next {
		st.Next, st.Previous = item.Sequence+1, item.Payload
	}
}

// without returns the digests of all that are not in others.
func without(all, others []attestation.Digest) []attestation.Digest {
	return slices.DeleteFunc(slices.Clone(all), func(d attestation.Digest) bool { return slices.Contains(others, d) })
}
