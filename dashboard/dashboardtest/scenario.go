// Package dashboardtest has what tests of pages and of stores need: scenarios
// (what builders said, in ledger order), [Fake], which answers from memory, and
// [Contract], which every implementation of dashboard.Source has to pass.
package dashboardtest

import (
	"crypto/sha256"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// A Scenario is a ledger before it is encoded. The enrolments come first, one
// entry for each builder; then Entries.
type Scenario struct {
	Builders []Builder
	Entries  []Entry
}

// A Builder is enrolled under a label of the scenario; its key is [Key] of it.
type Builder struct {
	Label    string
	Operator string
	Tier     enrolment.Tier
}

// An Entry is one entry after the enrolments. Exactly one of Statement, Set and
// Revoke is set.
type Entry struct {
	At        time.Time // when the ledger received it; never decreasing
	Builder   string    // label of the statement's signer
	Statement *attestation.Statement
	Set       *Set
	Revoke    string // label of a builder whose later statements do not count
}

// A Set is a published revision of a package set.
type Set struct {
	Name, Revision, Ecosystem string
	Members                   []Member
}

// A Member is an output of a package set.
type Member struct {
	Key, Attribute, Version, System string
	Maintainers                     []string
	Inputs                          []string // keys of other members
}

// EnrolledAt is the time of the enrolments.
func (s *Scenario) EnrolledAt() time.Time {
	if len(s.Entries) == 0 {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return s.Entries[0].At.Add(-time.Minute)
}

// ID is the builder's ID.
func ID(label string) signing.BuilderID { return signingtest.Named(label).Public().Builder() }

// Digest is a digest that a test can name.
func Digest(label string) attestation.Digest { return sha256.Sum256([]byte(label)) }

// DRV and Out are store paths that are valid and always the same for a name.
func DRV(name string) string { return "/nix/store/" + storeHash("drv "+name) + "-" + name + ".drv" }

// Out is the path of an output: of the one named "out" where output is "".
func Out(name, output string) string {
	if output != "" && output != "out" {
		name += "-" + output
	}
	return "/nix/store/" + storeHash("out "+name) + "-" + name
}

func storeHash(seed string) string {
	const alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
	sum := sha256.Sum256([]byte(seed))
	hash := make([]byte, 32)
	for i := range hash {
		hash[i] = alphabet[sum[i]%32]
	}
	return string(hash)
}

// Rebuild is the statement that a Nix build had these digests. Outputs
// alternates keys and the labels of their digests.
func Rebuild(environment map[string]string, build, inputs string, outputs ...string) *attestation.Statement {
	s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR, Environment: environment}
	b := attestation.Build{Name: build, Occasion: attestation.OccasionBuild}
	if inputs != "" {
		b.InputsDigest = Digest(inputs)
	}
	for i := 0; i+1 < len(outputs); i += 2 {
		b.Outputs = append(b.Outputs, len(s.Subjects))
		s.Subjects = append(s.Subjects, attestation.Subject{Name: outputs[i], Digest: Digest(outputs[i+1])})
	}
	s.Builds = []attestation.Build{b}
	return s
}

// Failed is the statement that a Nix build could not be made.
func Failed(build, why string) *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.BuildFailed, Ecosystem: "nix", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: build, Digest: Digest(build)}},
		Builds:   []attestation.Build{{Name: build, Outputs: []int{0}, Occasion: attestation.OccasionRebuild, Failure: why}},
	}
}

// Withdraw is the statement that a digest is no longer claimed.
func Withdraw(key, digest, reason string) *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR, Reason: reason,
		Subjects: []attestation.Subject{{Name: key, Digest: Digest(digest)}},
	}
}
