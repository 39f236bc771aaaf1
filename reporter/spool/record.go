package spool

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// A Record is one build as it was collected, before it is part of a statement.
type Record struct {
	Type        attestation.PredicateType `json:"type"`
	Ecosystem   string                    `json:"ecosystem"`
	DigestKind  attestation.DigestKind    `json:"digestKind"`
	Environment map[string]string         `json:"environment,omitempty"`
	Build       string                    `json:"build,omitempty"`
	// Outputs are what the build made; for BuildFailed what it should have
	// made, without digests.
	Outputs []Output `json:"outputs"`
	// Recipe is the digest of the recipe, only for BuildFailed.
	Recipe       attestation.Digest   `json:"recipe,omitzero"`
	Started      time.Time            `json:"started,omitzero"`
	Finished     time.Time            `json:"finished,omitzero"`
	Occasion     attestation.Occasion `json:"occasion,omitempty"`
	InputsDigest attestation.Digest   `json:"inputsDigest,omitzero"`
	Failure      string               `json:"failure,omitempty"`
	// Reason is why claims are taken back, only of Withdraw, which has no build.
	Reason string `json:"reason,omitempty"`
}

// An Output is one output of a build.
type Output struct {
	Key    string             `json:"key"`
	Digest attestation.Digest `json:"digest,omitzero"`
}

// MaxOutputs is how many outputs one record holds; [Spool.Put] splits a build
// with more. A statement of that many outputs with the longest names fits a
// ledger entry.
const MaxOutputs = 100

// maxRecordSize bounds what is read back of a record, in bytes.
const maxRecordSize = 1 << 20

// Validate reports what an aggregator would refuse about the record.
func (r *Record) Validate() error {
	if len(r.Outputs) == 0 {
		return fmt.Errorf("build %q has no outputs", r.Build)
	}
	if r.Type == attestation.BuildFailed {
		for _, output := range r.Outputs {
			if err := attestation.ValidateOutput(r.Ecosystem, output.Key); err != nil {
				return err
			}
		}
	}
	return newStatement([]*Record{r}, attestation.Chain{}).Validate()
}

func (r *Record) encode() ([]byte, error) {
	return json.Marshal(r, json.Deterministic(true))
}

func decodeRecord(data []byte) (*Record, error) {
	var r Record
	if err := attestation.DecodeStrict(data, &r); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// split returns the record as several with at most MaxOutputs outputs each.
func (r *Record) split() []*Record {
	var parts []*Record
	for from := 0; from < len(r.Outputs); from += MaxOutputs {
		part := *r
		part.Outputs = r.Outputs[from:min(from+MaxOutputs, len(r.Outputs))]
		parts = append(parts, &part)
	}
	return parts
}

// subjects returns what the record adds to a statement's subjects.
func (r *Record) subjects() []attestation.Subject {
	if r.Type == attestation.BuildFailed {
		return []attestation.Subject{{Name: r.Build, Digest: r.Recipe}}
	}
	subjects := make([]attestation.Subject, len(r.Outputs))
	for i, output := range r.Outputs {
		subjects[i] = attestation.Subject{Name: output.Key, Digest: output.Digest}
	}
	return subjects
}

// newStatement returns the statement of records that share type, ecosystem,
// digest kind and environment and name no subject twice.
func newStatement(records []*Record, chain attestation.Chain) *attestation.Statement {
	first := records[0]
	s := &attestation.Statement{
		Type: first.Type, Ecosystem: first.Ecosystem, DigestKind: first.DigestKind,
		Environment: first.Environment, Chain: chain, Reason: first.Reason,
	}
	for _, r := range records {
		if r.Type == attestation.Withdraw {
			s.Subjects = append(s.Subjects, r.subjects()...)
			continue
		}
		build := attestation.Build{
			Name: r.Build, Started: r.Started, Finished: r.Finished,
			Occasion: r.Occasion, InputsDigest: r.InputsDigest, Failure: r.Failure,
		}
		for _, subject := range r.subjects() {
			build.Outputs = append(build.Outputs, len(s.Subjects))
			s.Subjects = append(s.Subjects, subject)
		}
		s.Builds = append(s.Builds, build)
	}
	return s
}
