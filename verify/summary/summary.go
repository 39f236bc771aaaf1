// Package summary says in the world's words that an output is reproduced: as a Verification
// Summary of SLSA (https://slsa.dev/spec/v1.2/verification_summary) or as a Simple
// Verification Result of in-toto (https://in-toto.io/attestation/svr/v0.2), for tools that
// know nothing of this ledger.
//
// Start here: [New], then [Summary.VSA] or [Summary.SVR], whose bytes are an in-toto
// statement for the user's own key to sign.
//
// # Model
//
// A summary is made of one decision by the user's policy, and only where the policy accepts
// the output for agreement, where at least two operators agree, and nobody who is pinned
// dissents, whether the policy listens to them or not ([ErrNotMet]). There is none that says
// that something failed.
//
// SLSA 1.2 asks of SLSA_BUILD_REPRODUCED for build provenance of two independently operated
// build platforms that the issuer trusts. The platforms are the operators that the policy
// counts; what stands for provenance are their statements in the ledger, which record the
// output's digest and those of the inputs, and which the summary names. They are not of
// SLSA's own provenance format.
//
// # Trust
//
// Whoever believes a summary believes its signer: the pins, the policy and the machine on
// which it was made. The entries that it names let anybody check it without.
package summary

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

// Identifiers that the specifications fix.
const (
	VSAType    = "https://slsa.dev/verification_summary/v1"
	SVRType    = "https://in-toto.io/attestation/svr/v0.2"
	Reproduced = "SLSA_BUILD_REPRODUCED"

	slsaVersion = "1.2"
)

// ErrNotMet is wrapped by errors about outputs of which no summary can be made.
var ErrNotMet = errors.New("the output is not reproduced by this policy")

// A Resource is something that a summary names, with its SHA-256.
type Resource struct {
	URI    string
	Digest attestation.Digest
}

// A Verifier is who makes summaries.
type Verifier struct {
	ID      string // a URI of the user's, which those who believe it know
	Version string // of this program
}

// A Summary is that an output is reproduced.
type Summary struct {
	Output   string // its key, the name of the subject
	Digest   attestation.Digest
	Resource string // URI of what was verified
	Verifier Verifier
	Policy   Resource
	Inputs   []Resource // the claims that agree, as entries of the ledger
	At       time.Time
}

// New makes a summary of a decision on an output. entry names the entry of the ledger at an
// index.
func New(e *verify.Evidence, d *policy.Decision, verifier Verifier, rules Resource, at time.Time, entry func(index uint64) (Resource, error)) (*Summary, error) {
	digests := e.Digests()
	switch {
	case d.Action != policy.Accept || d.Finding != verify.Accepted:
		return nil, fmt.Errorf("%w: %s", ErrNotMet, d)
	case e.Judgement.Verdict == divergence.Diverged || len(digests) != 1:
		return nil, fmt.Errorf("%w: operators that are pinned got %d digests, though the policy does not hear all of them", ErrNotMet, len(digests))
	case len(digests[0].Operators) < 2:
		return nil, fmt.Errorf("%w: one operator has built it, and it takes two", ErrNotMet)
	}
	if err := CheckID(verifier.ID); err != nil {
		return nil, err
	}
	s := &Summary{
		Output: e.Output, Digest: digests[0].Digest, Resource: resourceURI(e.Ecosystem, e.Output),
		Verifier: verifier, Policy: rules, At: at.UTC().Truncate(time.Second),
	}
	for i := range e.Claims {
		c := &e.Claims[i]
		if c.Standing != verify.Counts || c.Digest != s.Digest {
			continue
		}
		input, err := entry(c.Index)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(s.Inputs, input) {
			s.Inputs = append(s.Inputs, input)
		}
	}
	return s, nil
}

// CheckID reports what is no identifier of a verifier: an absolute URI.
func CheckID(id string) error {
	u, err := url.Parse(id)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("%.100q is no URI that names who verifies, such as https://example.org/verifier", id)
	}
	return nil
}

// resourceURI names an output for those who have no better name: a tag URI (RFC 4151).
func resourceURI(ecosystem, key string) string {
	return "tag:repronet.dev,2026:output:" + ecosystem + ":" + (&url.URL{Path: key}).EscapedPath()
}

// VSA is the summary in SLSA's words.
func (s *Summary) VSA() ([]byte, error) {
	return s.statement(VSAType, vsa{
		Verifier:           vsaVerifier{s.Verifier.ID, map[string]string{"repronet-verify": s.Verifier.Version}},
		TimeVerified:       s.At,
		ResourceURI:        s.Resource,
		Policy:             describe(s.Policy),
		InputAttestations:  describeAll(s.Inputs),
		VerificationResult: "PASSED", VerifiedLevels: []string{Reproduced}, SLSAVersion: slsaVersion,
	})
}

// SVR is the summary in in-toto's words.
func (s *Summary) SVR() ([]byte, error) {
	return s.statement(SVRType, svr{
		Verifier: svrVerifier{s.Verifier.ID, []descriptor{describe(s.Policy)}}, TimeCreated: s.At, Properties: []string{Reproduced},
	})
}

func (s *Summary) statement(predicateType string, predicate any) ([]byte, error) {
	text, err := json.Marshal(statement{
		Type: attestation.StatementType, Subject: []subject{{s.Output, sha256Digest(s.Digest)}}, PredicateType: predicateType, Predicate: predicate,
	}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing a summary: %w", err)
	}
	return text, nil
}

type (
	statement struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     any       `json:"predicate"`
	}
	subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	// descriptor is in-toto's ResourceDescriptor.
	descriptor struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
	vsa struct {
		Verifier           vsaVerifier  `json:"verifier"`
		TimeVerified       time.Time    `json:"timeVerified"`
		ResourceURI        string       `json:"resourceUri"`
		Policy             descriptor   `json:"policy"`
		InputAttestations  []descriptor `json:"inputAttestations"`
		VerificationResult string       `json:"verificationResult"`
		VerifiedLevels     []string     `json:"verifiedLevels"`
		SLSAVersion        string       `json:"slsaVersion"`
	}
	vsaVerifier struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version"`
	}
	svr struct {
		Verifier    svrVerifier `json:"verifier"`
		TimeCreated time.Time   `json:"timeCreated"`
		Properties  []string    `json:"properties"`
	}
	svrVerifier struct {
		ID       string       `json:"id"`
		Policies []descriptor `json:"policies"`
	}
)

func describe(r Resource) descriptor { return descriptor{r.URI, sha256Digest(r.Digest)} }

func describeAll(resources []Resource) []descriptor {
	list := make([]descriptor, len(resources))
	for i, r := range resources {
		list[i] = describe(r)
	}
	return list
}

func sha256Digest(d attestation.Digest) map[string]string {
	return map[string]string{"sha256": hex.EncodeToString(d[:])}
}

// Of is the resource that a text is, by its URI.
func Of(uri string, text []byte) Resource { return Resource{uri, sha256.Sum256(text)} }
