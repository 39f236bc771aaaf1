package reporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/internal/durable"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
	"repronet.dev/signing/keyless"
)

// A Home is the directory of one installation.
type Home string

// DefaultHome returns the directory of a command that is given none: the
// environment's REPRONET_REPORTER_DIR, else /var/lib/repronet-reporter for root
// and the user's state directory for everybody else.
func DefaultHome() (Home, error) {
	if dir := os.Getenv("REPRONET_REPORTER_DIR"); dir != "" {
		return Home(dir), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/repronet-reporter", nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("finding a place for the reporter's files: %w: give one with --dir", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return Home(filepath.Join(state, "repronet-reporter")), nil
}

// Files of a Home.
const (
	configFile = "config.json"
	keyFile    = "key.pem"
	publicFile = "builder.pub"
	logKeyFile = "log.key"
	spoolDir   = "spool"
	filterDir  = "filters"
)

func (h Home) path(name string) string { return filepath.Join(string(h), name) }

// ErrNoHome is wrapped by errors about a directory that init never prepared.
var ErrNoHome = errors.New("run 'repronet-reporter init' first")

// Config reads the configuration.
func (h Home) Config() (*Config, error) {
	data, err := os.ReadFile(h.path(configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no reporter's directory: %w", h, ErrNoHome)
	}
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", h.path(configFile), err)
	}
	return c, nil
}

// Remove deletes the directory and all in it, unless a reporter is at work there.
func (h Home) Remove() error {
	writer, err := h.Spool().Lock()
	if err != nil {
		return err
	}
	defer writer.Close()
	// Without its configuration it is no reporter's directory any more, whatever
	// happens to the rest.
	if err := durable.Remove(h.path(configFile)); err != nil {
		return err
	}
	return os.RemoveAll(string(h))
}

// sweep removes what a process that was killed while it wrote a key, or the like, has
// left. A minute is more than such a write takes.
func (h Home) sweep() error { return durable.Sweep(string(h), time.Minute) }

// Spool returns the spool.
func (h Home) Spool() *spool.Spool { return spool.Open(h.path(spoolDir)) }

// A signer signs statements, by a key or by an identity.
type signer interface {
	SignPayload(ctx context.Context, payload []byte) (bundle []byte, err error)
	Close() error
}

// signer opens what the configuration says signs.
func (h Home) signer(c *Config) (signer, error) {
	if !c.Keyless() {
		return h.Signer(c)
	}
	return keyless.Load(c.Key, &http.Client{Timeout: requestTimeout})
}

// Signer opens the builder's key.
func (h Home) Signer(c *Config) (*signing.Signer, error) {
	if c.Keyless() {
		return nil, errors.New("this reporter signs by an identity and has no key: who runs the aggregator enrols the identity, with 'builders enrol --sigstore-issuer'")
	}
	signer, err := signing.LoadSigner(h.keyReference(c.Key))
	if err != nil {
		return nil, err
	}
	if id := signer.Public().Builder(); id != c.Builder {
		return nil, errors.Join(fmt.Errorf("key %s belongs to builder %s, not to %s, whose directory this is", c.Key, id, c.Builder), signer.Close())
	}
	return signer, nil
}

// keyReference makes a plain relative file name one in the directory.
func (h Home) keyReference(reference string) string {
	if strings.Contains(reference, ":") || filepath.IsAbs(reference) {
		return reference
	}
	return h.path(reference)
}

// LogKey returns the pinned key of the aggregator's log, or nil while none is.
func (h Home) LogKey() (note.Verifier, error) {
	text, err := os.ReadFile(h.path(logKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log's key: %w", err)
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading the log's key: %s: %w", h.path(logKeyFile), err)
	}
	return key, nil
}

// PinLogKey keeps a log's key, as C2SP signed notes write it.
func (h Home) PinLogKey(text string) (note.Verifier, error) {
	text = strings.TrimSpace(text)
	key, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("%.100q is no log's key: %w", text, err)
	}
	return key, durable.WriteFile(h.path(logKeyFile), []byte(text+"\n"), 0o644)
}
