package divergence

import (
	"bytes"
	"cmp"
	"slices"

	"repronet.dev/attestation"
)

// Verdict is what the counted operators' positions say of one output.
type Verdict uint8

// The verdicts. Unbuilt has no position of a counted operator, Single one
// operator with one digest, Reproduced two or more operators and one digest in
// all, Diverged two or more digests.
const (
	Unbuilt Verdict = iota
	Single
	Reproduced
	Diverged
)

// Shape of a divergence: the first of these that fits.
type Shape uint8

// Self: an operator's own position holds several digests. Scatter: no digest
// has two operators. Outlier: exactly one operator stands against all others,
// who agree. Split: anything else.
const (
	NoShape Shape = iota
	Self
	Scatter
	Outlier
	Split
)

// Inputs says how the factions of a divergence compare by their inputs.
type Inputs uint8

// InputsUnknown: not enough claims say which inputs they had. InputsSame: two
// claims with the same inputs got different digests. InputsDiffer: all factions
// known had other inputs.
const (
	InputsUnknown Inputs = iota
	InputsSame
	InputsDiffer
)

// Cause is the side on which a divergence's cause lies.
type Cause uint8

// Own: in the build itself. Inherited: from an input that diverged.
const (
	UnknownCause Cause = iota
	Own
	Inherited
)

var (
	verdictNames = [...]string{"unbuilt", "single", "reproduced", "diverged"}
	shapeNames   = [...]string{"", "self", "scatter", "outlier", "split"}
	causeNames   = [...]string{"unknown", "own", "inherited"}
)

func (v Verdict) String() string { return verdictNames[v] }
func (s Shape) String() string   { return shapeNames[s] }
func (c Cause) String() string   { return causeNames[c] }

// ParseShape reads a shape's name as String gives it; ok is false for any other.
func ParseShape(name string) (s Shape, ok bool) {
	i := slices.Index(shapeNames[:], name)
	return Shape(max(i, 0)), i > 0
}

// ParseCause reads a cause's name as String gives it; ok is false for any other.
func ParseCause(name string) (c Cause, ok bool) {
	i := slices.Index(causeNames[:], name)
	return Cause(max(i, 0)), i >= 0
}

// Operators says which operator is behind a builder, and whether a claim that
// the builder made at a ledger index moves verdicts. enrolment.Roster is one.
type Operators interface {
	Counts(builder uint32, index uint64) (operator uint32, counted bool)
}

// A Judgement is the verdict on one output and what is shown beside it.
type Judgement struct {
	Verdict   Verdict
	Shape     Shape  // NoShape unless diverged
	Inputs    Inputs // InputsUnknown unless diverged
	Operators int    // counted operators with a position
	Digests   int    // distinct digests in their positions
}

// position is one counted claim, reduced to what the verdict depends on.
type position struct {
	operator uint32
	digest   attestation.Digest
	inputs   InputsKey
}

// Judge computes the judgement on an output.
func Judge(o *Output, operators Operators) Judgement {
	positions := make([]position, 0, 8)
	latest := o.latest(operators)
	for _, c := range o.Claims {
		if operator, counted := operators.Counts(c.Builder, c.Index); latest.standing(c, counted) == Stands {
			positions = append(positions, position{operator, c.Digest, c.Inputs})
		}
	}
	slices.SortFunc(positions, func(a, b position) int {
		return cmp.Or(bytes.Compare(a.digest[:], b.digest[:]), cmp.Compare(a.operator, b.operator))
	})
	// backers: for each digest, how many operators hold it.
	var backers []int
	seen := map[uint32]int{} // operator → digests in its position
	for i, p := range positions {
		newDigest := i == 0 || positions[i-1].digest != p.digest
		if newDigest {
			backers = append(backers, 0)
		}
		if newDigest || positions[i-1].operator != p.operator {
			backers[len(backers)-1]++
			seen[p.operator]++
		}
	}
	j := Judgement{Operators: len(seen), Digests: len(backers)}
	switch {
	case j.Operators == 0:
		j.Verdict = Unbuilt
	case j.Digests > 1:
		j.Verdict = Diverged
		j.Shape = shape(backers, seen)
		j.Inputs = compareInputs(positions)
	case j.Operators == 1:
		j.Verdict = Single
	default:
		j.Verdict = Reproduced
	}
	return j
}

func shape(backers []int, digestsOf map[uint32]int) Shape {
	for _, n := range digestsOf {
		if n > 1 {
			return Self
		}
	}
	switch greatest := slices.Max(backers); {
	case greatest == 1:
		return Scatter
	case len(backers) == 2 && slices.Min(backers) == 1:
		return Outlier
	default:
		return Split
	}
}

// compareInputs expects positions sorted by digest.
func compareInputs(positions []position) Inputs {
	digestOf := map[InputsKey]attestation.Digest{}
	factions := map[attestation.Digest]struct{}{}
	for _, p := range positions {
		if p.inputs == 0 {
			continue
		}
		if other, known := digestOf[p.inputs]; known && other != p.digest {
			return InputsSame
		}
		digestOf[p.inputs] = p.digest
		factions[p.digest] = struct{}{}
	}
	if len(factions) < 2 {
		return InputsUnknown
	}
	return InputsDiffer
}

// CauseOf says on which side a divergence's cause lies, given whether any of
// the output's inputs is diverged itself.
func CauseOf(inputs Inputs, inputDiverged bool) Cause {
	switch {
	case inputs == InputsSame:
		return Own
	case inputs == InputsDiffer && inputDiverged:
		return Inherited
	default:
		return UnknownCause
	}
}
