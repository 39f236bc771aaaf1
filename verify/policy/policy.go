// Package policy says what a user accepts: which operators have to agree on an
// output, and what happens if they do not. It turns the evidence that package
// verify found into a decision.
//
// A policy is a file (YAML, unknown fields refused) of sections. For each output,
// the first section that matches its ecosystem and package set decides alone;
// nothing is inherited from another one. An output that no section matches is
// refused. docs/policy.md is the manual of the file.
//
// [Policy.Judge] is pure: the same evidence, sets and time give the same decision.
//
// Pins say who is who; a policy only chooses among pinned operators, by their
// names. Package sets are published by the ledger's operator, who can thereby move
// an output from one section to another: a section for a set should be stricter
// than what comes after it, or the one who publishes sets should be trusted.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/pkgset"
)

// A Policy is a user's rules.
type Policy struct {
	Sections []Section `yaml:"sections"`
}

// A Section is the rules for some outputs.
type Section struct {
	// Name is how decisions refer to the section; the default is its place.
	Name string `yaml:"name"`
	// Ecosystem and Set say which outputs it is for: all, unless given.
	Ecosystem string `yaml:"ecosystem"`
	Set       string `yaml:"set"`
	// Quorum is how many trusted operators have to agree.
	Quorum Quorum `yaml:"quorum"`
	// Trusted are the operators that count; all pinned ones, unless given. What
	// others say can only make an output diverged.
	Trusted []string `yaml:"trusted"`
	// Excluded operators are not heard at all.
	Excluded []string `yaml:"excluded"`
	// Required operators must be among those who agree.
	Required []string `yaml:"required"`
	// MaxAge bounds how long ago the newest agreeing claim was received.
	MaxAge Age `yaml:"maxAge"`
	// Single is what happens if trusted operators agree, but fewer than the
	// quorum; the default is Refuse.
	Single Action `yaml:"single"`
	// Diverged is what happens if only operators that are not trusted dissent;
	// the default is Refuse. Dissent of a trusted one is always refused.
	Diverged Action `yaml:"diverged"`
	// Regressed is what happens besides if an output is diverged that was reproduced
	// before, or is a version of one that is; the default is Accept, which asks nothing.
	Regressed Action `yaml:"regressed"`
}

// Quorum is a number of operators.
type Quorum int

// UnmarshalYAML reads a whole number: the decoder alone would take 2.9 for 2.
func (q *Quorum) UnmarshalYAML(node *yaml.Node) error {
	n, err := strconv.ParseUint(node.Value, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("line %d: quorum %.40q is not how many operators must agree, 1 or more", node.Line, node.Value)
	}
	*q = Quorum(n)
	return nil
}

// Action is what becomes of an output.
type Action string

// The actions.
const (
	Accept Action = "accept"
	Warn   Action = "warn" // accept, and say why one might not have
	Refuse Action = "refuse"
)

// UnmarshalYAML accepts the actions alone.
func (a *Action) UnmarshalYAML(node *yaml.Node) error {
	var s string
	if err := node.Decode(&s); err != nil {
		return err
	}
	switch Action(s) {
	case Accept, Warn, Refuse:
		*a = Action(s)
		return nil
	}
	return fmt.Errorf("line %d: %.40q is none of accept, warn and refuse", node.Line, s)
}

// Age is a duration that is written as a whole number of hours or days: 12h, 90d.
type Age time.Duration

const day = 24 * time.Hour

// UnmarshalYAML reads an age.
func (a *Age) UnmarshalYAML(node *yaml.Node) error {
	var s string
	if err := node.Decode(&s); err != nil {
		return err
	}
	units := map[byte]time.Duration{'h': time.Hour, 'd': day}
	if s != "" {
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
		if unit, ok := units[s[len(s)-1]]; ok && err == nil && n > 0 {
			*a = Age(time.Duration(n) * unit)
			return nil
		}
	}
	return fmt.Errorf("line %d: %.40q is no age such as 12h or 90d", node.Line, s)
}

func (a Age) String() string {
	if d := time.Duration(a); d%day != 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", time.Duration(a)/day)
}

// maxSize bounds a policy file in bytes.
const maxSize = 1 << 20

// Load reads a policy file.
func Load(path string) (*Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("reading policy: %s is larger than %d bytes", path, maxSize)
	}
	p, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading policy from %s: %w", path, err)
	}
	return p, nil
}

// Parse reads a policy.
func Parse(text []byte) (*Policy, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var p Policy
	if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	if len(p.Sections) == 0 {
		return nil, errors.New("it has no sections: every output would be refused")
	}
	for i := range p.Sections {
		s := &p.Sections[i]
		if s.Name == "" {
			s.Name = fmt.Sprintf("section %d", i+1)
		}
		if err := s.validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if i < len(p.Sections)-1 && s.Ecosystem == "" && s.Set == "" {
			return nil, fmt.Errorf("%s is for all outputs: what comes after it would never be used", s.Name)
		}
	}
	return &p, nil
}

func (s *Section) validate() error {
	if len(s.Name) > 100 || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' }) {
		return errors.New("the name is longer than 100 bytes or has control characters")
	}
	if s.Ecosystem != "" {
		if err := attestation.ValidateEcosystem(s.Ecosystem); err != nil {
			return err
		}
	}
	if s.Set != "" {
		if err := pkgset.ValidateName(s.Set); err != nil {
			return err
		}
	}
	if s.Quorum < 1 {
		return errors.New("quorum is missing: say how many operators must agree, at least 1")
	}
	for _, list := range []struct {
		name  string
		names []string
	}{{"trusted", s.Trusted}, {"excluded", s.Excluded}, {"required", s.Required}} {
		for i, operator := range list.names {
			if err := enrolment.ValidateOperator(operator); err != nil {
				return fmt.Errorf("%s: %w", list.name, err)
			}
			if slices.Contains(list.names[:i], operator) {
				return fmt.Errorf("%s: %s is listed twice", list.name, operator)
			}
		}
	}
	return s.validateTogether()
}

// validateTogether refuses what can never be fulfilled, or has no effect.
func (s *Section) validateTogether() error {
	if s.Trusted != nil && len(s.Trusted) < int(s.Quorum) {
		return fmt.Errorf("quorum %d of %d trusted operators can never be reached", s.Quorum, len(s.Trusted))
	}
	for _, operator := range s.Required {
		if !s.trusts(operator) {
			return fmt.Errorf("operator %s is required, but not trusted", operator)
		}
	}
	for _, operator := range s.Trusted {
		if slices.Contains(s.Excluded, operator) {
			return fmt.Errorf("operator %s is trusted and excluded", operator)
		}
	}
	if s.Trusted == nil && s.Diverged != "" && s.Diverged != Refuse {
		return errors.New("diverged: dissent of a trusted operator is always refused, and without a list of trusted ones all are")
	}
	return nil
}

func (s *Section) trusts(operator string) bool {
	return !slices.Contains(s.Excluded, operator) && (s.Trusted == nil || slices.Contains(s.Trusted, operator))
}

// Sets returns the names of the package sets that the policy speaks of.
func (p *Policy) Sets() []string {
	var names []string
	for _, s := range p.Sections {
		if s.Set != "" && !slices.Contains(names, s.Set) {
			names = append(names, s.Set)
		}
	}
	return names
}
