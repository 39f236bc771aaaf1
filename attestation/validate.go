package attestation

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"repronet.dev/ecosystem"
)

// Validate reports the first rule of the format that s breaks.
func (s *Statement) Validate() error {
	switch s.Type {
	case Rebuild, BuildFailed, Withdraw:
	default:
		return fmt.Errorf("predicateType %q is not one of %s, %s, %s", clip(string(s.Type)), Rebuild, BuildFailed, Withdraw)
	}
	if err := ValidateEcosystem(s.Ecosystem); err != nil {
		return err
	}
	if s.DigestKind != NAR && s.DigestKind != File {
		return fmt.Errorf("digestKind %q is neither %q nor %q", clip(string(s.DigestKind)), NAR, File)
	}
	if err := s.validateSubjects(); err != nil {
		return err
	}
	if err := s.Chain.validate(); err != nil {
		return err
	}
	if err := validateEnvironment(s.Environment); err != nil {
		return err
	}
	if err := validateAudience(s.Audience); err != nil {
		return err
	}
	if err := validateText(s.Reason, MaxTextLength); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	if s.Type == Withdraw {
		if len(s.Builds) != 0 {
			return errors.New("a withdrawal names outputs, not builds")
		}
		return nil
	}
	if s.Reason != "" {
		return fmt.Errorf("reason belongs to %s only", Withdraw)
	}
	return s.validateBuilds()
}

// validateAudience refuses what is no list of origins: a C2SP checkpoint's origin is a
// URL without a scheme.
func validateAudience(audience []string) error {
	if audience == nil {
		return nil
	}
	if len(audience) == 0 || len(audience) > MaxAudience {
		return fmt.Errorf("audience has %d ledgers: 1 to %d are named, or the member is left out", len(audience), MaxAudience)
	}
	for i, origin := range audience {
		if !originPattern.MatchString(origin) || len(origin) > MaxOrigin {
			return fmt.Errorf("audience: %q is no ledger's origin", clip(origin))
		}
		if slices.Contains(audience[:i], origin) {
			return fmt.Errorf("audience: %q is named twice", clip(origin))
		}
	}
	return nil
}

var originPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~:/-]*$`)

func (s *Statement) validateSubjects() error {
	switch n := len(s.Subjects); {
	case n == 0:
		return errors.New("statement has no subjects")
	case n > MaxSubjects:
		return fmt.Errorf("statement has %d subjects, at most %d are accepted: split it", n, MaxSubjects)
	}
	validate := ValidateOutput
	if s.Type == BuildFailed {
		validate = ValidateBuild
	}
	seen := make(map[string]struct{}, len(s.Subjects))
	for i, subject := range s.Subjects {
		if err := validate(s.Ecosystem, subject.Name); err != nil {
			return fmt.Errorf("subject %d: %w", i, err)
		}
		if _, twice := seen[subject.Name]; twice {
			return fmt.Errorf("subject %d: %q is named twice", i, clip(subject.Name))
		}
		seen[subject.Name] = struct{}{}
		if subject.Digest.IsZero() {
			return fmt.Errorf("subject %d: %q has no sha256 digest", i, clip(subject.Name))
		}
	}
	return nil
}

func (s *Statement) validateBuilds() error {
	if len(s.Builds) == 0 {
		return errors.New("statement has no builds")
	}
	owner := make([]bool, len(s.Subjects))
	for i, b := range s.Builds {
		if err := ValidateBuild(s.Ecosystem, b.Name); err != nil {
			return fmt.Errorf("build %d: %w", i, err)
		}
		if len(b.Outputs) == 0 {
			return fmt.Errorf("build %d: %q has no outputs", i, clip(b.Name))
		}
		for _, o := range b.Outputs {
			if o < 0 || o >= len(owner) {
				return fmt.Errorf("build %d: output %d is not among the %d subjects", i, o, len(owner))
			}
			if owner[o] {
				return fmt.Errorf("build %d: subject %d belongs to another build already", i, o)
			}
			owner[o] = true
			if err := s.validateOwner(b.Name, s.Subjects[o].Name); err != nil {
				return fmt.Errorf("build %d: %w", i, err)
			}
		}
		if err := s.validateBuild(b); err != nil {
			return fmt.Errorf("build %d: %w", i, err)
		}
	}
	if i := slices.Index(owner, false); i >= 0 {
		return fmt.Errorf("subject %d belongs to no build", i)
	}
	return nil
}

// validateOwner refuses a subject that by its own name belongs to another build.
func (s *Statement) validateOwner(build, subject string) error {
	if s.Type == BuildFailed {
		if subject != build {
			return fmt.Errorf("subject %q is not the recipe %q, which failed", clip(subject), clip(build))
		}
		return nil
	}
	if of, _, found := ecosystem.Of(s.Ecosystem).Split(subject); found && of != build {
		return fmt.Errorf("subject %q is not an output of %q", clip(subject), clip(build))
	}
	return nil
}

func (s *Statement) validateBuild(b Build) error {
	if err := validateTime("finishedOn", b.Finished); err != nil {
		return err
	}
	if !b.Started.IsZero() {
		if err := validateTime("startedOn", b.Started); err != nil {
			return err
		}
		if b.Started.After(b.Finished) {
			return errors.New("startedOn is after finishedOn")
		}
	}
	if b.Occasion != OccasionBuild && b.Occasion != OccasionRebuild {
		return fmt.Errorf("occasion %q is neither %q nor %q", clip(string(b.Occasion)), OccasionBuild, OccasionRebuild)
	}
	if s.Type != BuildFailed {
		if b.Failure != "" {
			return fmt.Errorf("failure belongs to %s only", BuildFailed)
		}
		return nil
	}
	if b.Failure == "" {
		return errors.New("a failed build says in failure how it failed")
	}
	if err := validateText(b.Failure, MaxTextLength); err != nil {
		return fmt.Errorf("failure: %w", err)
	}
	return nil
}

// validateTime bounds a time to what every part can store; whether it is
// plausible only a receiver with a clock can say.
func validateTime(name string, t time.Time) error {
	if y := t.UTC().Year(); y < 1990 || y > 2200 {
		return fmt.Errorf("%s is missing, or not between the years 1990 and 2200", name)
	}
	return nil
}

func (c *Chain) validate() error {
	if c.Stream == "" {
		if c.Sequence != 0 || !c.Previous.IsZero() || len(c.Skipped) != 0 {
			return errors.New("sequence, previous and skipped need a stream")
		}
		return nil
	}
	if len(c.Stream) != 32 || !streamPattern.MatchString(c.Stream) {
		return errors.New("stream is not 32 lower-case hexadecimal digits")
	}
	if (c.Sequence == 0) != c.Previous.IsZero() {
		return errors.New("previous is given for every statement of a stream but the first (sequence 0)")
	}
	if c.Sequence > 1<<53 {
		return errors.New("sequence is beyond 2^53")
	}
	if len(c.Skipped) > MaxSkipped {
		return fmt.Errorf("%d skipped payloads, at most %d are accepted", len(c.Skipped), MaxSkipped)
	}
	for _, d := range c.Skipped {
		if d.IsZero() {
			return errors.New("skipped names an empty digest")
		}
	}
	return nil
}

func validateEnvironment(environment map[string]string) error {
	for name, value := range environment {
		if !slices.Contains(Traits(), name) {
			return fmt.Errorf("environment: %q is not one of the traits that may be published", clip(name))
		}
		if err := validateText(value, MaxTraitLength); err != nil {
			return fmt.Errorf("environment: %s: %w", name, err)
		}
	}
	return nil
}

// CheckClock reports a build that cannot have finished when the statement was
// received: after it by more than [ClockSkew], or before it by more than
// [MaxAge]. now is the receiver's clock.
func (s *Statement) CheckClock(now time.Time) error {
	for i, b := range s.Builds {
		switch {
		case b.Finished.After(now.Add(ClockSkew)):
			return fmt.Errorf("build %d finished on %s, which is in the future: check the builder's clock", i, b.Finished.UTC().Format(time.RFC3339))
		case b.Finished.Before(now.Add(-MaxAge)):
			return fmt.Errorf("build %d finished on %s, more than %d days ago: check the builder's clock", i, b.Finished.UTC().Format(time.RFC3339), int(MaxAge.Hours()/24))
		}
	}
	return nil
}

// Tolerances of [Statement.CheckClock]. A reporter without a network may come
// back after months; a clock that is off by a year must not pass.
const (
	ClockSkew = 15 * time.Minute
	MaxAge    = 300 * 24 * time.Hour
)
