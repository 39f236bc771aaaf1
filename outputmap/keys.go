package outputmap

import (
	"bytes"
	"errors"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// A Pair says that an entry is about a key.
type Pair struct {
	Key   attestation.OutputID
	Index uint64 // of the entry in the ledger
}

// RosterKey is the key of the entries that say who counts. No output has it: no
// ecosystem has an empty name.
func RosterKey() attestation.OutputID { return attestation.NewOutputID("", "roster") }

// A Root is the commitment to a map.
type Root = reading.MapRoot

const maxNumber = reading.MaxNumber

// Keys returns the keys that the entry at a ledger index is about, in order and each
// once. One that breaks its rules is about nothing.
//
// An error is a [reading.NewerError]: this program knows neither what the entry is about
// nor what later ones are, and can compute no map of them.
func Keys(index uint64, e *ledger.Entry) ([]attestation.OutputID, error) {
	named, err := reading.Peek(index, e)
	switch {
	case errors.Is(err, reading.ErrNewerRules):
		return nil, err
	case err != nil:
		return nil, nil
	case named.Roster:
		return []attestation.OutputID{RosterKey()}, nil
	}
	return sorted(named.IDs()), nil
}

func sorted(keys []attestation.OutputID) []attestation.OutputID {
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func compareKeys(a, b attestation.OutputID) int { return bytes.Compare(a[:], b[:]) }
