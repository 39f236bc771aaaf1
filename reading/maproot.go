package reading

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/attestation"
)

// A MapRoot is the commitment to a verifiable map (package outputmap). Two maps are the
// same if and only if their roots are equal (==).
type MapRoot struct {
	Size   uint64    `json:"size"`   // of the ledger: the map is that of the entries before it
	Leaves uint64    `json:"leaves"` // number of keys
	Hash   tlog.Hash `json:"root"`   // RFC 6962; base 64 in JSON
	// Rules is the version of the rules by which the map was made; 0 stands for the
	// first, which is not written.
	Rules Version `json:"rules,omitzero"`
}

// MaxNumber bounds sizes, indices and positions to what every JSON parser reads
// exactly, and far below where the arithmetic of tlog ends.
const MaxNumber = 1 << 53

// Validate reports why r cannot be a commitment.
func (r MapRoot) Validate() error {
	switch {
	case r.Size > MaxNumber || r.Leaves > MaxNumber:
		return errors.New("the size or the number of leaves is beyond 2^53")
	case r.Leaves == 0 && r.Hash != sha256.Sum256(nil):
		return errors.New("the hash is not that of a map without leaves")
	case r.Leaves != 0 && r.Size == 0:
		return errors.New("the map of an empty ledger has no leaves")
	case r.Rules == 1:
		return errors.New("the first version of the rules is not written")
	}
	return nil
}

// Encode returns the body of the entry that commits to the map.
func (r MapRoot) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("encoding map root: %w", err)
	}
	return json.Marshal(r)
}

// ParseMapRoot reads the body of the entry of kind ledger.MapRoot at a ledger index. It
// accepts only the bytes that [MapRoot.Encode] makes, and only a map of entries before
// the index: what comes later nobody knew. An error is a [NewerError] of a map by rules
// that this program does not know, else a [Refused].
func ParseMapRoot(index uint64, body []byte) (MapRoot, error) {
	var named struct {
		Rules Version `json:"rules"`
	}
	if err := json.Unmarshal(body, &named); err == nil && named.Rules > Newest {
		return MapRoot{}, &NewerError{index, fmt.Sprintf("a map by version %d of the rules", named.Rules)}
	}
	r, err := parseMapRoot(index, body)
	if err != nil {
		return MapRoot{}, &Refused{fmt.Errorf("parsing map root: %w", err)}
	}
	return r, nil
}

func parseMapRoot(index uint64, body []byte) (MapRoot, error) {
	var r MapRoot
	if err := attestation.DecodeStrict(body, &r); err != nil {
		return MapRoot{}, err
	}
	canonical, err := r.Encode()
	switch {
	case err != nil:
		return MapRoot{}, err
	case !bytes.Equal(canonical, body):
		return MapRoot{}, errors.New("not spelled as the format says")
	case r.Size > index:
		return MapRoot{}, fmt.Errorf("entry %d commits to the map of %d entries, which were not there yet", index, r.Size)
	}
	return r, nil
}
