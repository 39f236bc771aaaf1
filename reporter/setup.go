package reporter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/api"
	"repronet.dev/internal/durable"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
	"repronet.dev/signing/keyless"
)

// Setup is what a volunteer decides. Empty fields keep what an earlier setup of
// the same directory decided.
type Setup struct {
	Aggregator string
	Key        string // a reference as signing.LoadSigner or keyless.Load takes it
	Operator   string
	Sets       []string
	ReportAll  bool
	RetainDays *uint  // see Config
	Audience   string // see Config
	Manifests  string // see Config; where consent is asked for, yes is meant
	LogKey     string // empty: trust the aggregator on first contact
	// Consent asks for the permission to publish under [License], unless it was
	// given before.
	Consent func() error
}

// Prepared is what [Home.Prepare] made.
type Prepared struct {
	Config        *Config
	PublicKey     *signing.PublicKey // nil where an identity signs
	PublicKeyFile string             // to hand on
	// LogKey is the pinned key of the aggregator's log; empty if the aggregator
	// could not be reached, which LogKeyError explains.
	LogKey      string
	LogKeyError error
}

// setupTimeout bounds the one request of a setup.
const setupTimeout = 15 * time.Second

// ErrSetup is wrapped by errors about what a Setup says, or does not.
var ErrSetup = errors.New("cannot set up the reporter")

// Prepare makes the directory, or changes what it was set up for. It never
// replaces a key.
func (h Home) Prepare(ctx context.Context, s Setup) (*Prepared, error) {
	if err := h.CheckOwner(); err != nil {
		return nil, err
	}
	config, err := h.Config()
	if err != nil && !errors.Is(err, ErrNoHome) {
		return nil, err
	}
	if config == nil {
		config = &Config{Key: keyFile}
	}
	known := config.Builder
	if err := s.apply(config); err != nil {
		return nil, err
	}
	if config.Consent.License == "" {
		if err := s.Consent(); err != nil {
			return nil, err
		}
		config.Consent = Consent{License: License, At: time.Now().UTC().Truncate(time.Second)}
		config.Manifests = cmp.Or(config.Manifests, ManifestsYes)
	}
	if err := durable.MkdirAll(string(h), 0o700); err != nil {
		return nil, fmt.Errorf("creating %s: %w", h, err)
	}
	if err := h.sweep(); err != nil {
		return nil, err
	}
	if config.Key == keyFile {
		if err := h.makeKey(keyFile); err != nil {
			return nil, err
		}
	}
	public, err := h.publicKey(config)
	if err != nil {
		return nil, err
	}
	config.Builder = ""
	if public != nil {
		config.Builder = public.Builder()
	}
	if known != "" && config.Builder != known {
		return nil, fmt.Errorf("%w: %s belongs to builder %s: give another --dir for another key", ErrSetup, h, known)
	}
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	p := &Prepared{Config: config, PublicKey: public, PublicKeyFile: h.path(publicFile)}
	if err := h.pinFirst(ctx, s.LogKey, p); err != nil {
		return nil, err
	}
	return p, h.write(p)
}

// apply takes over what the setup says.
func (s *Setup) apply(c *Config) error {
	if s.Aggregator != "" {
		c.Aggregator = s.Aggregator
	}
	if s.Operator != "" {
		c.Operator = s.Operator
	}
	if s.Key != "" {
		reference, err := absoluteReference(s.Key)
		if err != nil {
			return err
		}
		c.Key = reference
	}
	if s.Audience != "" {
		c.Audience = s.Audience
	}
	if s.Manifests != "" {
		c.Manifests = s.Manifests
	}
	if s.RetainDays != nil {
		c.RetainDays = s.RetainDays
	}
	switch {
	case s.ReportAll && len(s.Sets) > 0:
		return fmt.Errorf("%w: give either --sets or --report all", ErrSetup)
	case s.ReportAll:
		c.Report, c.Sets = ReportAll, nil
	case len(s.Sets) > 0:
		c.Report, c.Sets = ReportSets, s.Sets
	case c.Report == "":
		return fmt.Errorf("%w: say what may leave this machine: --sets NAME,… for outputs of published package sets, or --report all", ErrSetup)
	}
	if c.Aggregator == "" {
		return fmt.Errorf("%w: --aggregator is missing", ErrSetup)
	}
	if _, err := api.Dial(c.Aggregator, 0); err != nil {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return nil
}

// absoluteReference makes the file of a key reference independent of the
// directory in which a command is called.
func absoluteReference(reference string) (string, error) {
	scheme, file, found := strings.Cut(reference, ":")
	switch {
	case !found:
		return filepath.Abs(reference)
	case keyless.IsReference(reference):
		return keyless.Absolute(reference)
	case scheme == "nix" || scheme == "ssh":
		file, err := filepath.Abs(file)
		return scheme + ":" + file, err
	default:
		return reference, nil
	}
}

// publicKey returns the key of the configuration, or nil where an identity signs.
func (h Home) publicKey(c *Config) (*signing.PublicKey, error) {
	if c.Keyless() {
		_, err := keyless.Load(c.Key, new(http.Client))
		return nil, err
	}
	signer, err := signing.LoadSigner(h.keyReference(c.Key))
	if err != nil {
		return nil, err
	}
	return signer.Public(), signer.Close()
}

// makeKey writes a new key to a file of the directory, if it is not there.
func (h Home) makeKey(file string) error {
	if _, err := os.Stat(h.path(file)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	pem, err := signing.GenerateKey(signing.Ed25519)
	if err != nil {
		return err
	}
	return durable.WriteFile(h.path(file), pem, 0o600)
}

// pinFirst pins the log's key that was given, or else the one that the
// aggregator names, and reports one that is not the pinned one.
func (h Home) pinFirst(ctx context.Context, given string, p *Prepared) error {
	if given != "" {
		if _, err := h.PinLogKey(given); err != nil {
			return fmt.Errorf("%w: --log-key: %w", ErrSetup, err)
		}
		p.LogKey = strings.TrimSpace(given)
		return nil
	}
	pinned, err := os.ReadFile(h.path(logKeyFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the log's key: %w", err)
	}
	p.LogKey = string(bytes.TrimSpace(pinned))
	client, err := api.Dial(p.Config.Aggregator, setupTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	fetched, err := client.LogKey(ctx)
	if err != nil {
		p.LogKeyError = err
		return nil
	}
	if p.LogKey == "" {
		p.LogKey = fetched
		_, err := h.PinLogKey(fetched)
		return err
	}
	if p.LogKey != fetched {
		return fmt.Errorf("%s has the log key %.200q, but %q is pinned: if that is right, say so with --log-key", p.Config.Aggregator, fetched, p.LogKey)
	}
	return nil
}

// write writes the files of the directory, the configuration last: it is what
// makes it one.
func (h Home) write(p *Prepared) error {
	if _, err := spool.Create(h.path(spoolDir)); err != nil {
		return err
	}
	if p.PublicKey != nil {
		if err := durable.WriteFile(p.PublicKeyFile, p.PublicKey.PEM(), 0o644); err != nil {
			return err
		}
	}
	text, err := p.Config.encode()
	if err != nil {
		return err
	}
	return durable.WriteFile(h.path(configFile), text, 0o600)
}
