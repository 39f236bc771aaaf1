package attestation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireStatement is the JSON form, member for member.
type wireStatement struct {
	Type          string         `json:"_type"`
	Subject       []wireSubject  `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     *wirePredicate `json:"predicate"`
}

type wireSubject struct {
	Name   string `json:"name"`
	Digest struct {
		SHA256 Digest `json:"sha256"`
	} `json:"digest"`
}

type wirePredicate struct {
	Ecosystem   string            `json:"ecosystem"`
	DigestKind  DigestKind        `json:"digestKind"`
	Stream      string            `json:"stream,omitempty"`
	Sequence    uint64            `json:"sequence,omitzero"`
	Previous    Digest            `json:"previous,omitzero"`
	Skipped     []Digest          `json:"skipped,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Builds      []wireBuild       `json:"builds,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Audience    []string          `json:"audience,omitempty"`
}

type wireBuild struct {
	Name         string    `json:"name"`
	Outputs      []int     `json:"outputs"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn"`
	Occasion     Occasion  `json:"occasion,omitempty"`
	InputsDigest Digest    `json:"inputsDigest,omitzero"`
	Failure      string    `json:"failure,omitempty"`
}

// Parse reads a statement. It accepts UTF-8 JSON with each member at most once,
// spelled exactly, no unknown ones and no null, so that no two parsers can read
// the same bytes differently. The error names the first thing that is wrong.
func Parse(payload []byte) (*Statement, error) {
	if len(payload) > MaxPayloadSize {
		return nil, fmt.Errorf("statement of %d bytes: at most %d are accepted", len(payload), MaxPayloadSize)
	}
	s := parseCanonical(payload)
	if s == nil {
		var err error
		if s, err = parseStrict(payload); err != nil {
			return nil, err
		}
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// parseStrict reads a statement in any spelling, and does not validate it.
func parseStrict(payload []byte) (*Statement, error) {
	var w wireStatement
	if err := DecodeStrict(payload, &w); err != nil {
		return nil, fmt.Errorf("parsing statement: %w", err)
	}
	if err := refuseNull(payload); err != nil {
		return nil, fmt.Errorf("parsing statement: %w", err)
	}
	if w.Type != StatementType {
		return nil, fmt.Errorf("statement's _type is %q, want %q", clip(w.Type), StatementType)
	}
	if w.Predicate == nil {
		return nil, errors.New("statement has no predicate")
	}
	return fromWire(&w), nil
}

// refuseNull refuses the one JSON value that the decoder takes for an absent
// member, and that other languages tell from it.
func refuseNull(payload []byte) error {
	if !bytes.Contains(payload, []byte("null")) {
		return nil
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(payload))
	for {
		token, err := decoder.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readable(err)
		}
		if token.Kind() == 'n' {
			return fmt.Errorf("%s: null has no place here: leave the member out", clip(string(decoder.StackPointer())))
		}
	}
}

// Encode returns the statement as JSON: the same bytes for the same statement.
// It refuses what [Parse] would refuse.
func (s *Statement) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	payload, err := json.Marshal(toWire(s), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding statement: %w", err)
	}
	if len(payload) > MaxPayloadSize {
		return nil, fmt.Errorf("encoding statement: %d bytes are more than the %d accepted", len(payload), MaxPayloadSize)
	}
	return payload, nil
}

func fromWire(w *wireStatement) *Statement {
	p := w.Predicate
	s := &Statement{
		Type: PredicateType(w.PredicateType), Ecosystem: p.Ecosystem, DigestKind: p.DigestKind,
		Chain:       Chain{Stream: p.Stream, Sequence: p.Sequence, Previous: p.Previous, Skipped: p.Skipped},
		Environment: p.Environment, Reason: p.Reason, Audience: p.Audience,
	}
	s.Subjects = make([]Subject, len(w.Subject))
	for i, subject := range w.Subject {
		s.Subjects[i] = Subject{Name: subject.Name, Digest: subject.Digest.SHA256}
	}
	for _, b := range p.Builds {
		s.Builds = append(s.Builds, Build{
			Name: b.Name, Outputs: b.Outputs, Started: b.StartedOn.UTC(), Finished: b.FinishedOn.UTC(),
			Occasion: b.Occasion, InputsDigest: b.InputsDigest, Failure: b.Failure,
		})
	}
	return s
}

func toWire(s *Statement) *wireStatement {
	w := &wireStatement{
		Type: StatementType, PredicateType: string(s.Type), Subject: make([]wireSubject, len(s.Subjects)),
		Predicate: &wirePredicate{
			Ecosystem: s.Ecosystem, DigestKind: s.DigestKind,
			Stream: s.Chain.Stream, Sequence: s.Chain.Sequence, Previous: s.Chain.Previous, Skipped: s.Chain.Skipped,
			Environment: s.Environment, Reason: s.Reason, Audience: s.Audience,
		},
	}
	for i, subject := range s.Subjects {
		w.Subject[i].Name = subject.Name
		w.Subject[i].Digest.SHA256 = subject.Digest
	}
	for _, b := range s.Builds {
		w.Predicate.Builds = append(w.Predicate.Builds, wireBuild{
			Name: b.Name, Outputs: b.Outputs, StartedOn: b.Started.UTC(), FinishedOn: b.Finished.UTC(),
			Occasion: b.Occasion, InputsDigest: b.InputsDigest, Failure: b.Failure,
		})
	}
	return w
}
