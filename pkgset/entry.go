package pkgset

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// An Entry is the body of a ledger entry of kind ledger.PackageSet: from this
// entry on, the set is what the attachment lists.
type Entry struct {
	Name      string             `json:"name"`
	Revision  string             `json:"revision"` // as the publisher calls it: a commit, a version
	Ecosystem string             `json:"ecosystem"`
	Members   int                `json:"members"` // those that count, see Count
	SHA256    attestation.Digest `json:"sha256"`  // of the attachment
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ValidateName reports whether name can name a package set.
func ValidateName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("package set %.80q is not 1 to 64 characters of a-z, 0-9, dot, - and _, beginning with a letter or digit", name)
	}
	return nil
}

func (e *Entry) validate() error {
	if err := ValidateName(e.Name); err != nil {
		return err
	}
	if e.Revision == "" {
		return errors.New("the revision is empty")
	}
	if err := validateText("revision", e.Revision, maxRevision); err != nil {
		return err
	}
	if err := attestation.ValidateEcosystem(e.Ecosystem); err != nil {
		return err
	}
	if e.Members < 0 || e.Members > MaxMembers {
		return fmt.Errorf("%d members, at most %d are accepted", e.Members, MaxMembers)
	}
	if e.SHA256.IsZero() {
		return errors.New("the attachment's sha256 is missing")
	}
	return nil
}

// Encode returns the entry's body.
func (e *Entry) Encode() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("encoding package set: %w", err)
	}
	return json.Marshal(e, json.Deterministic(true))
}

// ParseEntry reads an entry's body.
func ParseEntry(body []byte) (*Entry, error) {
	var e Entry
	if err := attestation.DecodeStrict(body, &e); err != nil {
		return nil, fmt.Errorf("parsing package set: %w", err)
	}
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("parsing package set: %w", err)
	}
	return &e, nil
}
