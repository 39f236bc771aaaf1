package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"repronet/attestation"
	"repronet/divergence"
	"repronet/enrolment"
	"repronet/ledger"
	"repronet/signing"
)

// Evidence is all that the ledger holds about one output, under the user's pins.
type Evidence struct {
	Ecosystem, Output string
	// Size is the number of the ledger's entries that were searched, and
	// LatestEntry when its last one was received: nothing later is known.
	Size        uint64
	LatestEntry time.Time
	// Claims are those of pinned builders, in ledger order.
	Claims []Claim
	// Unpinned are the builders that are not pinned and are named by claims on
	// the output. Whether these are theirs was not checked.
	Unpinned []signing.BuilderID
	// Judgement is the verdict by the claims that count.
	Judgement divergence.Judgement
}

// A Claim is one pinned builder's saying that the output had a digest.
type Claim struct {
	Index      uint64 // in the ledger
	ReceivedAt time.Time
	Builder    signing.BuilderID
	Operator   string
	Digest     attestation.Digest
	DigestKind attestation.DigestKind
	Standing   Standing
}

// Standing says whether a claim counts, and if not, why.
type Standing string

// The standings of claims.
const (
	Counts    Standing = "counts"
	Withdrawn Standing = "withdrawn" // by its builder, later
	Revoked   Standing = "revoked"   // the builder is, from this entry on or before
	NotValid  Standing = "not-valid" // the key was not valid when the claim was received
)

// ErrForged is what [Mirror.Evidence] wraps if the ledger holds a statement in a
// pinned builder's name which that builder did not sign. No honest ledger takes
// one in.
var ErrForged = errors.New("forged evidence")

// Evidence collects every claim about an output from the mirror.
func (m *Mirror) Evidence(ctx context.Context, pins *Pins, ecosystem, output string) (*Evidence, error) {
	if err := attestation.ValidateOutput(ecosystem, output); err != nil {
		return nil, err
	}
	roster, err := newRoster(pins)
	if err != nil {
		return nil, err
	}
	if m.index.size != m.Tree().Size() {
		return nil, fmt.Errorf("collecting evidence: the index has %d of %d entries", m.index.size, m.Tree().Size())
	}
	c := collector{
		tree: m.Tree(), roster: roster,
		evidence: &Evidence{Ecosystem: ecosystem, Output: output, Size: m.Tree().Size()},
	}
	if err := c.collect(ctx, m.index); err != nil {
		return nil, fmt.Errorf("collecting evidence on %s: %w", output, m.damaged(err))
	}
	return c.evidence, nil
}

// collector goes through the entries about an output in ledger order.
type collector struct {
	tree     *ledger.Tree
	roster   *roster
	evidence *Evidence
	claims   divergence.Output
}

func (c *collector) collect(ctx context.Context, x *index) error {
	if size := c.tree.Size(); size > 0 {
		last, err := c.entry(ctx, size-1)
		if err != nil {
			return err
		}
		c.evidence.LatestEntry = last.ReceivedAt
	}
	// Revocations reach back, so all are known before the first claim.
	changes, err := x.roster()
	if err != nil {
		return err
	}
	for _, n := range changes {
		if err := c.revoke(ctx, n); err != nil {
			return err
		}
	}
	entries, err := x.lookup(attestation.NewOutputID(c.evidence.Ecosystem, c.evidence.Output))
	if err != nil {
		return err
	}
	for _, n := range entries {
		if err := c.take(ctx, n); err != nil {
			return err
		}
	}
	c.evidence.Judgement = divergence.Judge(&c.claims, c.roster)
	return nil
}

func (c *collector) entry(ctx context.Context, n uint64) (*ledger.Entry, error) {
	record, err := c.tree.Record(ctx, n)
	if err != nil {
		return nil, err
	}
	return record.Entry()
}

func (c *collector) revoke(ctx context.Context, n uint64) error {
	entry, err := c.entry(ctx, n)
	if err != nil || entry.Kind != ledger.Revocation {
		return err
	}
	revocation, err := enrolment.ParseRevocation(entry.Body)
	if err != nil {
		return nil //nolint:nilerr // moves nothing, for any reader
	}
	c.roster.revoke(revocation.Builder, revocation.From)
	return nil
}

// take adds what one entry says of the output.
func (c *collector) take(ctx context.Context, n uint64) error {
	entry, err := c.entry(ctx, n)
	if err != nil {
		return err
	}
	builder, statement, err := signing.PeekStatement(entry.Body)
	if err != nil {
		return fmt.Errorf("ledger index %d: %w", n, err)
	}
	i := slices.IndexFunc(statement.Subjects, func(s attestation.Subject) bool { return s.Name == c.evidence.Output })
	if i < 0 || statement.Ecosystem != c.evidence.Ecosystem {
		return nil // another output with the same prefix
	}
	claim := Claim{
		Index: n, ReceivedAt: entry.ReceivedAt, Builder: builder, Standing: Counts,
		Digest: statement.Subjects[i].Digest, DigestKind: statement.DigestKind,
	}
	number, pinned := c.roster.numbers[builder]
	if !pinned {
		if statement.Type == attestation.Rebuild && !slices.Contains(c.evidence.Unpinned, builder) {
			c.evidence.Unpinned = append(c.evidence.Unpinned, builder)
		}
		return nil
	}
	claim.Operator = c.roster.builders[number].Operator
	_, counted := c.roster.Counts(number, n)
	_, err = signing.Open(entry.Body, c.roster.lookup, entry.ReceivedAt)
	switch {
	case errors.Is(err, signing.ErrKeyNotValid):
		claim.Standing = NotValid
	case err != nil:
		return fmt.Errorf("%w: ledger index %d: %w", ErrForged, n, err)
	case !counted:
		claim.Standing = Revoked
	}
	if statement.Type == attestation.Rebuild {
		c.add(claim, number, inputsOf(statement, i))
	}
	if statement.Type == attestation.Withdraw && claim.Standing == Counts {
		c.withdraw(claim, number)
	}
	return nil
}

func (c *collector) add(claim Claim, number uint32, inputs attestation.Digest) {
	c.evidence.Claims = append(c.evidence.Claims, claim)
	if claim.Standing == Counts {
		c.claims.Add(divergence.Claim{
			Builder: number, Digest: claim.Digest, Index: claim.Index, Inputs: divergence.NewInputsKey(inputs),
		})
	}
}

func (c *collector) withdraw(withdrawal Claim, number uint32) {
	c.claims.Withdraw(number, withdrawal.Digest)
	for i := range c.evidence.Claims {
		claim := &c.evidence.Claims[i]
		if claim.Builder == withdrawal.Builder && claim.Digest == withdrawal.Digest && claim.Standing == Counts {
			claim.Standing = Withdrawn
		}
	}
}

// inputsOf returns the inputs digest of the build that made a subject.
func inputsOf(statement *attestation.Statement, subject int) attestation.Digest {
	for _, build := range statement.Builds {
		if slices.Contains(build.Outputs, subject) {
			return build.InputsDigest
		}
	}
	return attestation.Digest{}
}

// Digests returns the digests of the claims that count, each with its operators
// in the order of their names. The one with the most operators comes first.
func (e *Evidence) Digests() []Position {
	var positions []Position
	for _, claim := range e.Claims {
		if claim.Standing != Counts {
			continue
		}
		i := slices.IndexFunc(positions, func(p Position) bool { return p.Digest == claim.Digest })
		if i < 0 {
			i = len(positions)
			positions = append(positions, Position{Digest: claim.Digest, Kind: claim.DigestKind})
		}
		if p := &positions[i]; !slices.Contains(p.Operators, claim.Operator) {
			p.Operators = append(p.Operators, claim.Operator)
		}
	}
	for i := range positions {
		slices.Sort(positions[i].Operators)
	}
	slices.SortStableFunc(positions, func(a, b Position) int { return len(b.Operators) - len(a.Operators) })
	return positions
}

// A Position is a digest and the operators that stand for it.
type Position struct {
	Digest    attestation.Digest
	Kind      attestation.DigestKind
	Operators []string
}
