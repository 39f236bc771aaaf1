package api

import (
	"time"

	"repronet.dev/signing"
)

// Roster is the document at [RosterPath]: the fold of the ledger's enrolments and
// revocations up to its end.
type Roster struct {
	Checkpoint string          `json:"checkpoint" doc:"A checkpoint of the ledger that the roster was made from."`
	Size       uint64          `json:"size" doc:"Entries of that ledger."`
	Builders   []RosterBuilder `json:"builders"`
}

// RosterBuilder is one builder of the roster, with what is needed to check its
// signatures.
type RosterBuilder struct {
	ID          signing.BuilderID   `json:"id"`
	PublicKey   []byte              `json:"publicKey,omitempty"` // PKIX, DER; base 64 in JSON; none of an OpenPGP certificate or an identity
	NixName     string              `json:"nixName,omitempty"`   // by which it signs narinfo
	OpenPGP     []RosterCertificate `json:"openpgp,omitempty"`   // by which it signs checksum documents
	Keyless     *RosterIdentity     `json:"keyless,omitempty"`   // of an identity, in place of a key
	Operator    string              `json:"operator"`
	Tier        Tier                `json:"tier"`
	NotBefore   time.Time           `json:"notBefore,omitzero"`
	NotAfter    time.Time           `json:"notAfter,omitzero"`
	EnrolledAt  uint64              `json:"enrolledAt"` // ledger index
	RevokedFrom *uint64             `json:"revokedFrom,omitempty"`
	// RevokedAt is the ledger index of the revocation: greater than RevokedFrom of
	// one that is back-dated.
	RevokedAt *uint64           `json:"revokedAt,omitempty"`
	Replaces  signing.BuilderID `json:"replaces,omitempty"` // whose key endorsed this one
	// Endorsement is the SHA-256 of the attachment with the request that led to
	// the enrolment, hexadecimal; it may be erased.
	Endorsement string `json:"endorsement,omitempty"`
}

// RosterCertificate is an OpenPGP certificate and the project for which it counts.
type RosterCertificate struct {
	Fingerprint string `json:"fingerprint"` // of the primary key, hexadecimal
	Project     string `json:"project"`
	Certificate string `json:"certificate"` // SHA-256 of the attachment with it, hexadecimal
	// Erased tells that the attachment was erased: the certificate counts no more.
	Erased bool `json:"erased,omitzero"`
}

// RosterIdentity is a rule for Sigstore identities (signing.IdentityRule), and what
// their certificates are checked against.
type RosterIdentity struct {
	Issuer      string `json:"issuer"`
	Subject     string `json:"subject"`
	Repository  string `json:"repository,omitempty"`
	TrustedRoot string `json:"trustedRoot"` // SHA-256 of the attachment with trusted_root.json, hexadecimal
}
