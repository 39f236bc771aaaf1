package replica

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
)

// A ConvictedError says that there is a proof, in the file at Path, that the log
// signed two histories.
type ConvictedError struct {
	Err  error // wraps ledger.ErrInvalid
	Path string
}

func (e *ConvictedError) Error() string {
	return fmt.Sprintf("%v; the proof, which anybody can check, is kept in %s: show it to the log's operator and to other users of the log", e.Err, e.Path)
}

// Unwrap returns what the log did.
func (e *ConvictedError) Unwrap() error { return e.Err }

// Convict saves a proof that the log signed two histories, and returns reason as an
// error that names the file.
func (r *Replica) Convict(c *ledger.Conviction, reason error) error {
	if err := c.Verify(r.key); err != nil {
		return errors.Join(reason, err)
	}
	text, err := json.Marshal(c, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return errors.Join(reason, err)
	}
	sum := sha256.Sum256(text)
	path := filepath.Join(r.dir, "convictions", hex.EncodeToString(sum[:8])+".json")
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return errors.Join(reason, err)
	}
	if err := durable.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return errors.Join(reason, err)
	}
	return &ConvictedError{reason, path}
}
