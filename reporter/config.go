package reporter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/attestation"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
	"repronet.dev/signing/keyless"
)

// License is what a volunteer's statements are published under.
const License = "CC0-1.0"

// A Config is an installation's configuration, config.json.
type Config struct {
	// Aggregator is a URL, or a multiaddr as package wire describes them.
	Aggregator string `json:"aggregator"`
	// Operator is the name that generic builds of this machine begin with.
	Operator string `json:"operator,omitempty"`
	// Key is a reference as signing.LoadSigner takes it, or keyless.Load; a plain
	// file name is relative to the directory.
	Key     string            `json:"key"`
	Builder signing.BuilderID `json:"builder,omitempty"` // of the key; none of an identity
	// Report is "sets" (only outputs of Sets are sent) or "all".
	Report  string   `json:"report"`
	Sets    []string `json:"sets,omitempty"`
	Consent Consent  `json:"consent"`
	// RetainDays is for how many days records are retained that are in none of
	// Sets yet; absent: 30. They stay on the machine.
	RetainDays *uint `json:"retainDays,omitempty"`
	// Audience is in which ledgers the statements count: AudienceAll, which is also
	// meant where it is empty, or AudienceLedger, the one that they are submitted to.
	Audience string `json:"audience,omitempty"`
	// Manifests is ManifestsYes where the aggregator is told, when it asks, which files are
	// in builds that were reported and of which others got something else; ManifestsNo, or
	// empty in what was set up before that was asked, where it is not.
	Manifests string `json:"manifests,omitempty"`
}

// Whether the names, sizes and hashes of the files in builds are told.
const (
	ManifestsYes = "yes"
	ManifestsNo  = "no"
)

// maxRetainDays bounds RetainDays: an aggregator takes nothing older.
const maxRetainDays = 300

// Retention is how long records are retained that are in no chosen set yet.
func (c *Config) Retention() time.Duration {
	if c.RetainDays == nil {
		return spool.DefaultRetention
	}
	return time.Duration(*c.RetainDays) * 24 * time.Hour
}

// Consent is the volunteer's permission to publish.
type Consent struct {
	License string    `json:"license"`
	At      time.Time `json:"at"`
}

// Where statements count. One for all ledgers can be carried by anybody to a ledger that
// does not know what was withdrawn in another.
const (
	AudienceAll    = "all"
	AudienceLedger = "ledger"
)

// What may be reported.
const (
	ReportSets = "sets"
	ReportAll  = "all"
)

var (
	setPattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) // at most 64
	operatorPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)         // at most 40
)

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if c.Aggregator == "" {
		return errors.New("no aggregator is given")
	}
	if c.Operator != "" && (len(c.Operator) > 40 || !operatorPattern.MatchString(c.Operator)) {
		return fmt.Errorf("operator %q is not 1 to 40 characters of a-z, 0-9 and -", c.Operator)
	}
	if c.Key == "" {
		return errors.New("no key is given")
	}
	if _, err := signing.ParseBuilderID(string(c.Builder)); err != nil && !c.Keyless() {
		return err
	}
	switch c.Report {
	case ReportSets:
		if len(c.Sets) == 0 {
			return errors.New(`report is "sets", but no package set is chosen`)
		}
	case ReportAll:
		if len(c.Sets) != 0 {
			return errors.New(`report is "all": package sets have no meaning then`)
		}
	default:
		return fmt.Errorf("report is %q, want %q or %q", c.Report, ReportSets, ReportAll)
	}
	if i := slices.IndexFunc(c.Sets, func(s string) bool { return len(s) > 64 || !setPattern.MatchString(s) }); i >= 0 {
		return fmt.Errorf("%q is no package set's name", c.Sets[i])
	}
	if c.Audience != "" && c.Audience != AudienceAll && c.Audience != AudienceLedger {
		return fmt.Errorf("audience is %q, want %q or %q", c.Audience, AudienceAll, AudienceLedger)
	}
	if c.Manifests != "" && c.Manifests != ManifestsYes && c.Manifests != ManifestsNo {
		return fmt.Errorf("manifests is %q, want %q or %q", c.Manifests, ManifestsYes, ManifestsNo)
	}
	if c.RetainDays != nil && *c.RetainDays > maxRetainDays {
		return fmt.Errorf("retainDays is %d: an aggregator takes no builds older than %d days", *c.RetainDays, maxRetainDays)
	}
	if c.Consent.License != License || c.Consent.At.IsZero() {
		return fmt.Errorf("consent to publish under %s is missing", License)
	}
	return nil
}

// Keyless reports whether an identity signs in place of a key. Whose statements
// those are is for the ledger's enrolments to say.
func (c *Config) Keyless() bool { return keyless.IsReference(c.Key) }

func parseConfig(data []byte) (*Config, error) {
	var c Config
	if err := attestation.DecodeStrict(data, &c); err != nil {
		return nil, err
	}
	return &c, c.Validate()
}

func (c *Config) encode() ([]byte, error) {
	data, err := json.Marshal(c, jsontext.WithIndent("  "))
	return append(data, '\n'), err
}
