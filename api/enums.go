package api

import (
	"errors"
	"fmt"
	"slices"

	"repronet.dev/divergence"
)

// ErrUnknownValue is wrapped where a document names a verdict, shape, side, tier,
// standing, flag or state that this version does not know: a newer program is
// needed to read it, and nothing follows from it for an older one.
var ErrUnknownValue = errors.New("not a value that this version knows")

// A Verdict is what the counted operators' claims say of one output; see
// [divergence.Judge].
type Verdict string

// The verdicts.
const (
	Unbuilt    Verdict = "unbuilt"
	Single     Verdict = "single"
	Reproduced Verdict = "reproduced"
	Diverged   Verdict = "diverged"
)

// NewVerdict is how a verdict is written.
func NewVerdict(v divergence.Verdict) Verdict { return Verdict(v.String()) }

// Values lists what can be written.
func (Verdict) Values() []string {
	return named(divergence.Unbuilt, divergence.Single, divergence.Reproduced, divergence.Diverged)
}

// MarshalText implements [encoding.TextMarshaler].
func (v Verdict) MarshalText() ([]byte, error) { return write(v, "verdict") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *Verdict) UnmarshalText(text []byte) error { return read(v, text, "verdict") }

// A Shape is how the operators of a divergence stand to each other; "" is that of
// what has not diverged.
type Shape string

// The shapes, of which the first that fits is taken.
const (
	Self    Shape = "self"    // an operator's own position holds several digests
	Scatter Shape = "scatter" // no digest has two operators
	Outlier Shape = "outlier" // one operator stands against all others, who agree
	Split   Shape = "split"   // anything else
)

// NewShape is how a shape is written.
func NewShape(s divergence.Shape) Shape { return Shape(s.String()) }

// Values lists what can be written.
func (Shape) Values() []string {
	return named(divergence.Self, divergence.Scatter, divergence.Outlier, divergence.Split)
}

// MarshalText implements [encoding.TextMarshaler].
func (s Shape) MarshalText() ([]byte, error) { return writeOptional(s, "shape") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Shape) UnmarshalText(text []byte) error { return readOptional(s, text, "shape") }

// A Side is on which side the cause of a divergence lies; "" is that of what has
// not diverged.
type Side string

// The sides.
const (
	Own         Side = "own"       // the inputs were the same, the output was not
	Inherited   Side = "inherited" // the inputs differed, and one of them has diverged itself
	UnknownSide Side = "unknown"   // the inputs cannot be compared
)

// NewSide is how a side is written.
func NewSide(c divergence.Cause) Side { return Side(c.String()) }

// Values lists what can be written.
func (Side) Values() []string {
	return named(divergence.Own, divergence.Inherited, divergence.UnknownCause)
}

// MarshalText implements [encoding.TextMarshaler].
func (s Side) MarshalText() ([]byte, error) { return writeOptional(s, "side of a cause") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Side) UnmarshalText(text []byte) error { return readOptional(s, text, "side of a cause") }

// A Reason says what a build is suggested for.
type Reason string

// The reasons.
const (
	Confirm Reason = "confirm" // one operator has built it, and another would decide it
	Begin   Reason = "begin"   // nobody has built it
)

// Values lists what can be written.
func (Reason) Values() []string { return []string{string(Confirm), string(Begin)} }

// MarshalText implements [encoding.TextMarshaler].
func (r Reason) MarshalText() ([]byte, error) { return write(r, "reason") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Reason) UnmarshalText(text []byte) error { return read(r, text, "reason") }

// A LookupState says what became of a key.
type LookupState string

// The states.
const (
	KeyKnown   LookupState = "known"   // outputs are listed
	KeyUnknown LookupState = "unknown" // nothing was ever said under the key
	KeyInvalid LookupState = "invalid" // no output, build or digest can be called so
)

// Values lists what can be written.
func (LookupState) Values() []string {
	return []string{string(KeyKnown), string(KeyUnknown), string(KeyInvalid)}
}

// MarshalText implements [encoding.TextMarshaler].
func (s LookupState) MarshalText() ([]byte, error) { return write(s, "state of a key") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *LookupState) UnmarshalText(text []byte) error { return read(s, text, "state of a key") }

// A KeyKind says what a key that is looked up was taken for; "" is that of what can be
// nothing.
type KeyKind string

// The kinds.
const (
	DigestKey KeyKind = "digest"
	OutputKey KeyKind = "output"
	BuildKey  KeyKind = "build"
	PURLKey   KeyKind = "purl"
)

// Values lists what can be written.
func (KeyKind) Values() []string {
	return []string{string(DigestKey), string(OutputKey), string(BuildKey), string(PURLKey)}
}

// MarshalText implements [encoding.TextMarshaler].
func (k KeyKind) MarshalText() ([]byte, error) { return writeOptional(k, "kind of a key") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *KeyKind) UnmarshalText(text []byte) error { return readOptional(k, text, "kind of a key") }

// A Tier says whether an operator's builders move verdicts.
type Tier string

// The tiers.
const (
	Counted Tier = "counted" // an entry of the ledger vouches for the operator
	Open    Tier = "open"    // the operator joined by itself: kept, shown, compared
)

// Values lists what can be written.
func (Tier) Values() []string { return []string{string(Counted), string(Open)} }

// MarshalText implements [encoding.TextMarshaler]; "" is that of a builder which
// is not enrolled.
func (t Tier) MarshalText() ([]byte, error) { return writeOptional(t, "tier") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Tier) UnmarshalText(text []byte) error { return readOptional(t, text, "tier") }

// A Standing says why a claim is not in its operator's counted position; "" is
// that of a claim which is.
type Standing string

// The reasons for which a claim does not count.
const (
	StandingWithdrawn  Standing = "withdrawn"  // by the builder
	StandingRevoked    Standing = "revoked"    // the builder's key was, from an earlier index on
	StandingOpen       Standing = "open"       // the operator's tier is
	StandingSuperseded Standing = "superseded" // by a document that the builder signed later
	StandingAmbiguous  Standing = "ambiguous"  // a document lists the name with several digests
)

// Values lists what can be written.
func (Standing) Values() []string {
	return []string{
		string(StandingWithdrawn), string(StandingRevoked), string(StandingOpen), string(StandingSuperseded), string(StandingAmbiguous),
	}
}

// MarshalText implements [encoding.TextMarshaler].
func (s Standing) MarshalText() ([]byte, error) { return writeOptional(s, "standing") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Standing) UnmarshalText(text []byte) error { return readOptional(s, text, "standing") }

// A Flag names what is odd about a builder. No flag moves a verdict.
type Flag string

// The flags.
const (
	FlagFork      Flag = "fork"       // two statements at one place of a stream
	FlagGap       Flag = "gap"        // statements of a stream that never arrived
	FlagStale     Flag = "stale"      // nothing heard for a long time
	FlagRevoked   Flag = "revoked"    // the key no longer counts
	FlagBackDated Flag = "back-dated" // the revocation takes claims away that had counted
	FlagCopying   Flag = "copying"    // another operator's digests, later, where all others differ
)

// Values lists what can be written.
func (Flag) Values() []string {
	return []string{string(FlagFork), string(FlagGap), string(FlagStale), string(FlagRevoked), string(FlagBackDated), string(FlagCopying)}
}

// MarshalText implements [encoding.TextMarshaler].
func (f Flag) MarshalText() ([]byte, error) { return write(f, "flag") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Flag) UnmarshalText(text []byte) error { return read(f, text, "flag") }

// An EnrolmentState says what became of a request to be enrolled.
type EnrolmentState string

// The states of a request.
const (
	Pending  EnrolmentState = "pending"  // a person decides
	Enrolled EnrolmentState = "enrolled" // the builder's statements are accepted
	Refused  EnrolmentState = "refused"  // by a person, or the key was revoked
)

// Values lists what can be written.
func (EnrolmentState) Values() []string {
	return []string{string(Pending), string(Enrolled), string(Refused)}
}

// MarshalText implements [encoding.TextMarshaler].
func (s EnrolmentState) MarshalText() ([]byte, error) { return write(s, "state of an enrolment") }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *EnrolmentState) UnmarshalText(text []byte) error {
	return read(s, text, "state of an enrolment")
}

// An enum is a type of this package with few values.
type enum interface {
	~string
	Values() []string
}

func named[T fmt.Stringer](values ...T) []string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	return names
}

func write[T enum](value T, what string) ([]byte, error) {
	if !slices.Contains(value.Values(), string(value)) {
		return nil, fmt.Errorf("writing %s %.40q: %w", what, string(value), ErrUnknownValue)
	}
	return []byte(value), nil
}

func writeOptional[T enum](value T, what string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	return write(value, what)
}

func read[T enum](value *T, text []byte, what string) error {
	if !slices.Contains((*value).Values(), string(text)) {
		return fmt.Errorf("reading %s %.40q: %w", what, text, ErrUnknownValue)
	}
	*value = T(text)
	return nil
}

func readOptional[T enum](value *T, text []byte, what string) error {
	if len(text) == 0 {
		*value = ""
		return nil
	}
	return read(value, text, what)
}
