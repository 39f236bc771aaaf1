package reading

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// A Key identifies what a builder signed, however its bundle was spelled: the first 16
// bytes of SHA-256(builder ‖ SHA-256(payload)), for which no second payload can be found.
// A later entry with the same key moves nothing, for any reader; and it is how whoever
// takes statements in recognises one that the ledger has.
type Key [16]byte

// NewKey returns the key of a builder's payload.
func NewKey(builder signing.BuilderID, payload attestation.Digest) Key {
	var room [96]byte
	sum := sha256.Sum256(append(append(room[:0], builder...), payload[:]...))
	return Key(sum[:16])
}

// A Statement is what a builder is proven to have signed.
type Statement struct {
	*attestation.Statement
	Key     Key
	Payload attestation.Digest // SHA-256 of what was signed
	Builder signing.BuilderID
	Number  uint32 // of the builder in the roster
	// Outputs are the IDs of the subjects, in their order; none of failed builds, whose
	// subjects are recipes.
	Outputs []attestation.OutputID
}

// Statement opens an attestation that was received at a time. An error is a [Refused],
// or says that a trusted root cannot be had now.
func (r *Reader) Statement(ctx context.Context, bundle []byte, at time.Time) (*Statement, error) {
	s := r.opened(bundle, at)
	if s == nil {
		var err error
		if s, err = r.open(ctx, bundle, at); err != nil {
			return nil, err
		}
	}
	if s.Audience != nil && !slices.Contains(s.Audience, r.origin) {
		return nil, &Refused{fmt.Errorf("%w: it counts in %q, and this is %q", ErrOtherLedger, s.Audience, r.origin)}
	}
	return s, nil
}

// open checks a bundle completely.
func (r *Reader) open(ctx context.Context, bundle []byte, at time.Time) (*Statement, error) {
	v, err := sigstore.OpenAny(ctx, bundle, r.roster.Lookup, r.keyless, at)
	switch {
	case err == nil:
	case sigstore.IsRefusal(err):
		return nil, &Refused{err}
	default:
		return nil, err
	}
	builder, ok := r.roster.Builder(v.Builder())
	if !ok {
		return nil, &Refused{signing.ErrUnknownBuilder}
	}
	return &Statement{
		Statement: v.Statement(), Key: NewKey(builder.ID, v.PayloadDigest()), Payload: v.PayloadDigest(),
		Builder: builder.ID, Number: builder.Number, Outputs: outputsOf(v.Statement()),
	}, nil
}

// Payload checks a bundle over an in-toto statement of any type, as [Reader.Statement] does,
// and returns its payload and who signed it. An error is a [Refused], or says that a trusted
// root cannot be had now.
func (r *Reader) Payload(ctx context.Context, bundle []byte, at time.Time) ([]byte, signing.BuilderID, error) {
	payload, builder, err := sigstore.OpenAnyPayload(ctx, bundle, r.roster.Lookup, r.keyless, at)
	if sigstore.IsRefusal(err) {
		err = &Refused{err}
	}
	return payload, builder, err
}

// ErrOtherLedger is wrapped where a statement is for other ledgers than this one.
var ErrOtherLedger = fmt.Errorf("%w statement: it is for another ledger", signing.ErrMalformed)

// KindOf returns the kind of entry in which a statement is kept.
func KindOf(s *attestation.Statement) ledger.Kind {
	if s.Audience != nil {
		return ledger.Addressed
	}
	return ledger.Attestation
}

// fits refuses a statement in an entry of the other kind. A program of before entries
// were addressed refuses an audience in one that is not, and knows no other, so that it
// never judges otherwise than this one does: it judges the same, or not at all.
func fits(kind ledger.Kind, s *attestation.Statement) error {
	if want := KindOf(s); kind != want {
		return &Refused{fmt.Errorf("%w statement: its audience is not one for an entry of kind %q, but of %q", signing.ErrMalformed, kind, want)}
	}
	return nil
}

// outputsOf returns the IDs of the outputs that a statement is about.
func outputsOf(s *attestation.Statement) []attestation.OutputID {
	if s.Type == attestation.BuildFailed {
		return nil
	}
	ids := make([]attestation.OutputID, len(s.Subjects))
	for i := range s.Subjects {
		ids[i] = attestation.NewOutputID(s.Ecosystem, s.Subjects[i].Name)
	}
	return ids
}

// A Claim is one builder's saying in one entry that an output had a digest.
type Claim struct {
	Output  string // key
	ID      attestation.OutputID
	Digest  attestation.Digest
	Builder uint32 // number in the roster
	// Build is the build that made the output; nil of a document.
	Build  *attestation.Build
	Inputs divergence.InputsKey // 0 where the builder or the document does not say
	// Document, SignedAt and Ambiguous are as divergence.Claim has them.
	Document  bool
	SignedAt  uint64
	Ambiguous bool
}

// At returns the claim as package divergence judges it, made at a ledger index.
func (c *Claim) At(index uint64) divergence.Claim {
	return divergence.Claim{
		Builder: c.Builder, Digest: c.Digest, Index: index, Inputs: c.Inputs,
		Document: c.Document, SignedAt: c.SignedAt, Ambiguous: c.Ambiguous,
	}
}

// Claims yields what the statement claims, build by build; nothing unless it is a
// rebuild.
func (s *Statement) Claims() iter.Seq[Claim] {
	return func(yield func(Claim) bool) {
		if s.Type != attestation.Rebuild {
			return
		}
		for b := range s.Builds {
			build := &s.Builds[b]
			inputs := inputsKey(build.InputsDigest)
			for _, i := range build.Outputs {
				if !yield(s.claim(i, build, inputs)) {
					return
				}
			}
		}
	}
}

// ClaimOn returns what a rebuild claims of the output with a place in Outputs.
func (s *Statement) ClaimOn(i int) Claim {
	b := slices.IndexFunc(s.Builds, func(b attestation.Build) bool { return slices.Contains(b.Outputs, i) })
	return s.claim(i, &s.Builds[b], inputsKey(s.Builds[b].InputsDigest)) // each subject is of one build
}

func (s *Statement) claim(i int, build *attestation.Build, inputs divergence.InputsKey) Claim {
	subject := &s.Subjects[i]
	return Claim{Output: subject.Name, ID: s.Outputs[i], Digest: subject.Digest, Builder: s.Number, Build: build, Inputs: inputs}
}

// inputsKey returns the key of a digest of inputs; 0 of none.
func inputsKey(inputs attestation.Digest) divergence.InputsKey {
	if inputs.IsZero() {
		return 0
	}
	return divergence.NewInputsKey(inputs)
}

// A Withdrawal takes a builder's claim of a digest back.
type Withdrawal struct {
	Output  string // key
	ID      attestation.OutputID
	Digest  attestation.Digest
	Builder uint32
}

// Withdrawals yields what the statement takes back; nothing unless it is a withdrawal.
func (s *Statement) Withdrawals() iter.Seq[Withdrawal] {
	return func(yield func(Withdrawal) bool) {
		if s.Type != attestation.Withdraw {
			return
		}
		for i := range s.Subjects {
			if !yield(s.WithdrawalOn(i)) {
				return
			}
		}
	}
}

// WithdrawalOn returns what a withdrawal takes back of the output with a place in
// Outputs.
func (s *Statement) WithdrawalOn(i int) Withdrawal {
	return Withdrawal{Output: s.Subjects[i].Name, ID: s.Outputs[i], Digest: s.Subjects[i].Digest, Builder: s.Number}
}

// Failures returns the recipes that could not be built, each once; none unless the
// statement is of failed builds.
func (s *Statement) Failures() []string {
	if s.Type != attestation.BuildFailed {
		return nil
	}
	var recipes []string
	seen := make(map[string]struct{}, len(s.Builds))
	for i := range s.Builds {
		name := s.Builds[i].Name
		if _, twice := seen[name]; !twice {
			seen[name] = struct{}{}
			recipes = append(recipes, name)
		}
	}
	return recipes
}

func (k Key) String() string { return fmt.Sprintf("%x", k[:]) }
