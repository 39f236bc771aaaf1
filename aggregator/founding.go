package aggregator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger/writer"
)

// ErrFollower is what [Origin] and [Found] wrap where a data directory is a follower's.
var ErrFollower = errors.New("it has the copy of a ledger that another server writes")

// ErrNoLedger is what [Open] wraps where a data directory has no ledger.
var ErrNoLedger = errors.New("no ledger is there")

// Names in the data directory of what cannot be made again.
const (
	LedgerDir = "ledger"
	KeyFile   = "log.key"
)

// replicaDir is where in its data directory a follower has its copy.
const replicaDir = "replica"

// keyPath is where the log's signing key is.
func keyPath(data string) string { return filepath.Join(data, KeyFile) }

// Founded is what [Found] made.
type Founded struct {
	Data   string `json:"data"`
	Origin string `json:"origin"`
	Key    string `json:"key"` // the public key, which readers of the ledger pin
}

// Origin returns the name of the ledger in a data directory. The error wraps
// [ErrNoLedger] where none is.
func Origin(data string) (string, error) {
	origin, err := writer.Origin(keyPath(data))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(filepath.Join(data, replicaDir)); err == nil {
			return "", fmt.Errorf("%w: %s: %w", ErrNoLedger, data, ErrFollower)
		}
		return "", fmt.Errorf("%w: %s has no log.key", ErrNoLedger, data)
	}
	return origin, err
}

// Found makes a data directory and in it the key of a new ledger, which is named by
// config.Origin for ever. It refuses to where a ledger is, or the rest of one.
func Found(config Config) (*Founded, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Origin == "" {
		return nil, errors.New("a ledger needs a name: a host name and path under your control, such as repro.example.org/2026; it cannot change later")
	}
	switch origin, err := Origin(config.Data); {
	case err == nil:
		return nil, fmt.Errorf("%s has the ledger %q already", config.Data, origin)
	case !errors.Is(err, ErrNoLedger), errors.Is(err, ErrFollower):
		return nil, err
	}
	for _, left := range []string{"ledger/checkpoint", "ledger/tile", "state.db"} {
		if _, err := os.Lstat(filepath.Join(config.Data, left)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s has %s and no log.key: restore log.key from a backup, or name another data directory; a new key would begin another ledger", config.Data, left)
		}
	}
	if err := durable.MkdirAll(config.Data, 0o750); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	key, err := writer.LoadOrCreateKey(keyPath(config.Data), config.Origin)
	if err != nil {
		return nil, err
	}
	return &Founded{Data: config.Data, Origin: config.Origin, Key: key.String()}, nil
}
