package keyless

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/go-json-experiment/json"
)

// Services are the addresses of a Sigstore deployment.
type Services struct {
	CertificateAuthority string // Fulcio
	TimestampAuthority   string // where RFC 3161 requests are posted; empty: none
	Log                  string // Rekor, version 2; empty: none
}

// signingConfig is what is read of a signing_config.json:
// https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
type signingConfig struct {
	MediaType string `json:"mediaType"`

	CA  []service `json:"caUrls"`
	Log []service `json:"rekorTlogUrls"`
	TSA []service `json:"tsaUrls"`
}

type service struct {
	URL      string `json:"url"`
	Version  int    `json:"majorApiVersion"`
	ValidFor struct {
		Start time.Time `json:"start"`
		End   time.Time `json:"end"`
	} `json:"validFor"`
}

// signingConfigType is the one format that is read. The one before it, v0.1, named no
// versions of the services.
const signingConfigType = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

const maxSigningConfig = 1 << 20

// readServices reads a signing_config.json, and picks the services that are in
// use at a time.
func readServices(path string, now time.Time) (Services, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Services{}, fmt.Errorf("reading the signing configuration: %w", err)
	}
	if info.Size() > maxSigningConfig {
		return Services{}, fmt.Errorf("reading the signing configuration: %s is larger than %d bytes", path, maxSigningConfig)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Services{}, fmt.Errorf("reading the signing configuration: %w", err)
	}
	var c signingConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return Services{}, fmt.Errorf("reading the signing configuration %s: %w", path, err)
	}
	if c.MediaType != signingConfigType {
		return Services{}, fmt.Errorf("reading the signing configuration %s: its mediaType is %.100q, and only the format v0.2 (%s) is read: fetch a newer file", path, c.MediaType, signingConfigType)
	}
	s := Services{pick(c.CA, 1, now), pick(c.TSA, 1, now), pick(c.Log, 2, now)}
	err = s.validate()
	if err == nil && s.Log == "" && len(c.Log) > 0 {
		err = errors.New("of the logs that it names none is in use with version 2 of Rekor's API, the only one that this program writes to: a signature without a log's entry is refused where the trusted root names logs")
	}
	if err != nil {
		return Services{}, fmt.Errorf("reading the signing configuration %s: %w", path, err)
	}
	return s, nil
}

// pick returns the address of the service of a version that came into use last.
func pick(services []service, version int, now time.Time) (address string) {
	var start time.Time
	for _, s := range services {
		inUse := !s.ValidFor.Start.After(now) && (s.ValidFor.End.IsZero() || s.ValidFor.End.After(now))
		if s.Version == version && inUse && (address == "" || s.ValidFor.Start.After(start)) {
			address, start = s.URL, s.ValidFor.Start
		}
	}
	return address
}

func (s Services) validate() error {
	if s.CertificateAuthority == "" {
		return errors.New("it names no certificate authority that is in use")
	}
	if s.TimestampAuthority == "" {
		return errors.New("it names no timestamp authority that is in use: nothing would prove when the certificate signed")
	}
	for _, address := range []string{s.CertificateAuthority, s.TimestampAuthority, s.Log} {
		u, err := url.Parse(address)
		if address != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("%.100q is no https:// address", address)
		}
	}
	return nil
}
