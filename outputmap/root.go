package outputmap

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"
)

// A Root is the commitment to a map. Two maps are the same if and only if their
// roots are equal (==).
type Root struct {
	Size   uint64    `json:"size"`   // of the ledger: the map is that of the entries before it
	Leaves uint64    `json:"leaves"` // number of keys
	Hash   tlog.Hash `json:"root"`   // RFC 6962; base 64 in JSON
}

// maxNumber bounds sizes, indices and positions to what every JSON parser reads
// exactly, and far below where the arithmetic of tlog ends.
const maxNumber = 1 << 53

func (r Root) validate() error {
	switch {
	case r.Size > maxNumber || r.Leaves > maxNumber:
		return errors.New("the size or the number of leaves is beyond 2^53")
	case r.Leaves == 0 && r.Hash != sha256.Sum256(nil):
		return errors.New("the hash is not that of a map without leaves")
	case r.Leaves != 0 && r.Size == 0:
		return errors.New("the map of an empty ledger has no leaves")
	}
	return nil
}

// Encode returns the body of the entry that commits to the map.
func (r Root) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("encoding map root: %w", err)
	}
	return json.Marshal(r)
}

// ParseRoot reads the body of the entry of kind ledger.MapRoot at a ledger index.
// It accepts only the bytes that [Root.Encode] makes, and only a map of entries
// before the index: what comes later nobody knew.
func ParseRoot(index uint64, body []byte) (Root, error) {
	var r Root
	if err := json.Unmarshal(body, &r, json.RejectUnknownMembers(true)); err != nil {
		return Root{}, fmt.Errorf("parsing map root: %w", err)
	}
	canonical, err := r.Encode()
	switch {
	case err != nil:
		return Root{}, fmt.Errorf("parsing map root: %w", err)
	case !bytes.Equal(canonical, body):
		return Root{}, errors.New("parsing map root: not spelled as the format says")
	case r.Size > index:
		return Root{}, fmt.Errorf("parsing map root: entry %d commits to the map of %d entries, which were not there yet", index, r.Size)
	}
	return r, nil
}
