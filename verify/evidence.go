package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet/attestation"
	"repronet/divergence"
	"repronet/enrolment"
	"repronet/evidence/kinds"
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
	// Document tells that a third party's document says so, not a statement, and
	// SignedAt when, by its signer's own word and if it says.
	Document bool
	SignedAt time.Time
	// RevokedAt is, of a claim with Standing Revoked, the ledger index of the
	// revocation. If that is greater than Index, it is back-dated: the claim
	// counted until then.
	RevokedAt uint64
}

// Standing says whether a claim counts, and if not, why.
type Standing string

// The standings of claims.
const (
	Counts    Standing = "counts"
	Withdrawn Standing = "withdrawn" // by its builder, later
	Revoked   Standing = "revoked"   // the builder is, from this entry on or before
	NotValid  Standing = "not-valid" // the key was not valid when the claim was received
	// Of documents: the builder signed another later; or it lists the output with
	// several digests.
	Superseded Standing = "superseded"
	Ambiguous  Standing = "ambiguous"
)

// ErrForged is what [Mirror.Evidence] wraps if the ledger holds a statement in a
// pinned builder's name which that builder did not sign. No honest ledger takes
// one in.
var ErrForged = errors.New("forged evidence")

// An Output is what evidence is asked for.
type Output struct {
	Ecosystem string `json:"ecosystem"`
	Key       string `json:"output"`
}

// EcosystemOf tells an output's ecosystem from its key: that of the store it is
// in, else generic.
func EcosystemOf(key string) string {
	switch {
	case strings.HasPrefix(key, "/nix/store/"):
		return "nix"
	case strings.HasPrefix(key, "/gnu/store/"):
		return "guix"
	default:
		return "generic"
	}
}

// Evidence collects every claim about an output from the mirror.
func (m *Mirror) Evidence(ctx context.Context, pins *Pins, ecosystem, output string) (*Evidence, error) {
	all, err := m.EvidenceOn(ctx, pins, []Output{{ecosystem, output}}, func(string, uint64, uint64) {})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// EvidenceOn collects every claim about each of many outputs. An entry that
// speaks of several of them is opened once.
func (m *Mirror) EvidenceOn(ctx context.Context, pins *Pins, outputs []Output, progress Progress) ([]*Evidence, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.index.size != m.tree().Size() {
		return nil, fmt.Errorf("collecting evidence: the index has %d of %d entries", m.index.size, m.tree().Size())
	}
	evidence, err := collect(ctx, m.tree(), m.index, pins, outputs, progress)
	return evidence, m.damaged(err)
}

// A finder tells which entries of a tree to look at.
type finder interface {
	// roster returns the indices of all enrolments, revocations and erasures,
	// ascending.
	roster() ([]uint64, error)
	// lookup returns, for each ID, the indices of all entries that may speak of it.
	lookup(ids []attestation.OutputID) ([][]uint64, error)
}

// collect collects every claim about outputs that a tree holds.
func collect(ctx context.Context, tree *ledger.Tree, x finder, pins *Pins, outputs []Output, progress Progress) ([]*Evidence, error) {
	ids := make([]attestation.OutputID, len(outputs))
	for i, o := range outputs {
		if err := attestation.ValidateOutput(o.Ecosystem, o.Key); err != nil {
			return nil, err
		}
		ids[i] = attestation.NewOutputID(o.Ecosystem, o.Key)
	}
	roster, err := newRoster(pins)
	if err != nil {
		return nil, err
	}
	c := collector{tree: tree, roster: roster, keys: kinds.NewKeys(roster, roster.attachment), progress: progress}
	for _, o := range outputs {
		c.outputs = append(c.outputs, &collected{
			evidence: &Evidence{Ecosystem: o.Ecosystem, Output: o.Key, Size: c.tree.Size()}, said: map[claimKey]struct{}{},
		})
	}
	if err := c.collect(ctx, x, ids); err != nil {
		of := fmt.Sprintf("%d outputs", len(outputs))
		if len(outputs) == 1 {
			of = outputs[0].Key
		}
		return nil, fmt.Errorf("collecting evidence on %s: %w", of, err)
	}
	evidence := make([]*Evidence, len(c.outputs))
	for i, o := range c.outputs {
		evidence[i] = o.evidence
	}
	return evidence, nil
}

// collector goes through the entries about outputs in ledger order.
type collector struct {
	tree     *ledger.Tree
	roster   *roster
	keys     *kinds.Keys // of roster
	progress Progress
	outputs  []*collected
}

// collected is what was found on one output.
type collected struct {
	evidence *Evidence
	claims   divergence.Output
	said     map[claimKey]struct{} // the statements taken
}

// A claimKey is a builder and the SHA-256 of a statement's payload. A second entry
// with both the same moves nothing, for any reader.
type claimKey struct {
	builder signing.BuilderID
	payload attestation.Digest
}

func (c *collector) collect(ctx context.Context, x finder, ids []attestation.OutputID) error {
	if size := c.tree.Size(); size > 0 {
		last, err := c.entry(ctx, size-1)
		if err != nil {
			return err
		}
		for _, o := range c.outputs {
			o.evidence.LatestEntry = last.ReceivedAt
		}
	}
	// Revocations and erasures reach back, so all are known before the first claim.
	changes, err := x.roster()
	if err != nil {
		return err
	}
	for _, n := range changes {
		if err := c.takeAway(ctx, n); err != nil {
			return err
		}
	}
	found, err := x.lookup(ids)
	if err != nil {
		return err
	}
	if err := c.open(ctx, found); err != nil {
		return err
	}
	for _, o := range c.outputs {
		o.weigh(c.roster)
		o.evidence.Judgement = divergence.Judge(&o.claims, c.roster)
	}
	return nil
}

// open opens the entries that were found for each output, and takes what they
// say in ledger order. Entries are read and opened by bundles of the log, some
// at a time, one after the other where they are merged.
func (c *collector) open(ctx context.Context, found [][]uint64) error {
	about := map[uint64][]*collected{} // by entry
	for i, entries := range found {
		for _, n := range entries {
			about[n] = append(about[n], c.outputs[i])
		}
	}
	entries := slices.Sorted(maps.Keys(about))
	progress := uint64(0)
	for len(entries) > 0 {
		// Enough that no processor waits long for another one, and few enough to
		// hold what they say in memory.
		next := entries[:min(len(entries), 4096)]
		entries = entries[len(next):]
		opened := make([]*opened, len(next))
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(runtime.GOMAXPROCS(0))
		for from := 0; from < len(next); {
			to := from + 1
			for to < len(next) && to-from < 64 && next[to]/ledger.BundleWidth == next[from]/ledger.BundleWidth {
				to++
			}
			numbers, into := next[from:to], opened[from:to]
			group.Go(func() error { return c.openBundle(groupCtx, numbers, into) })
			from = to
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, said := range opened {
			for _, output := range about[next[i]] {
				if err := c.take(said, output); err != nil {
					return err
				}
			}
		}
		progress += uint64(len(next))
		c.progress("checking", progress, progress+uint64(len(entries)))
	}
	return nil
}

// opened is what an entry says, and if it is not signed by whom it names, why.
type opened struct {
	index      uint64
	receivedAt time.Time
	builder    signing.BuilderID
	statement  *attestation.Statement
	payload    attestation.Digest // its SHA-256, if err is nil
	subjects   map[string]int     // or rows of evidence
	err        error
	evidence   *kinds.Evidence // of a third party, in place of the statement
}

// openBundle opens entries of one bundle of the log.
func (c *collector) openBundle(ctx context.Context, entries []uint64, into []*opened) error {
	records, err := c.tree.Bundle(ctx, entries[0]/ledger.BundleWidth)
	if err != nil {
		return fmt.Errorf("reading entry %d: %w", entries[0], err)
	}
	for i, n := range entries {
		entry, err := records[n%ledger.BundleWidth].Entry()
		if err != nil {
			return err
		}
		o := &opened{index: n, receivedAt: entry.ReceivedAt, subjects: map[string]int{}}
		into[i] = o
		if slices.Contains(kinds.Kinds(), entry.Kind) {
			if err := c.openEvidence(ctx, o, entry); err != nil {
				return fmt.Errorf("ledger index %d: %w", n, err)
			}
			continue
		}
		verified, err := signing.OpenAny(ctx, entry.Body, c.roster.lookup, c.keys.Keyless, entry.ReceivedAt)
		switch {
		case err == nil:
			o.builder, o.statement, o.payload = verified.Builder(), verified.Statement(), verified.PayloadDigest()
		case !signing.IsRefusal(err):
			return fmt.Errorf("ledger index %d: %w", n, err)
		default:
			o.err = err
			if o.builder, o.statement, err = signing.PeekStatement(entry.Body); err != nil {
				return fmt.Errorf("ledger index %d: %w", n, err)
			}
			if o.builder == "" {
				c.refuseKeyless(o, entry)
			}
		}
		for subject, s := range o.statement.Subjects {
			o.subjects[s.Name] = subject
		}
	}
	return nil
}

func (c *collector) entry(ctx context.Context, n uint64) (*ledger.Entry, error) {
	record, err := c.tree.Record(ctx, n)
	if err != nil {
		return nil, err
	}
	return record.Entry()
}

// takeAway follows a revocation or an erasure. One that cannot be read moves
// nothing, for any reader.
func (c *collector) takeAway(ctx context.Context, n uint64) error {
	entry, err := c.entry(ctx, n)
	if err != nil {
		return err
	}
	switch entry.Kind {
	case ledger.Revocation:
		if r, err := enrolment.ParseRevocation(entry.Body); err == nil {
			c.roster.revoke(r.Builder, r.From, n)
		}
	case ledger.Erased:
		if e, err := enrolment.ParseErasure(entry.Body); err == nil {
			delete(c.roster.packets, e.Attachment)
		}
	default:
	}
	return nil
}

// take adds what one entry says of an output.
func (c *collector) take(said *opened, output *collected) error {
	if said.evidence != nil {
		c.takeEvidence(said, output)
		return nil
	}
	i, ok := said.subjects[output.evidence.Output]
	if !ok || said.statement.Ecosystem != output.evidence.Ecosystem {
		return nil // another output with the same prefix
	}
	claim := Claim{
		Index: said.index, ReceivedAt: said.receivedAt, Builder: said.builder, Standing: Counts,
		Digest: said.statement.Subjects[i].Digest, DigestKind: said.statement.DigestKind,
	}
	number, pinned := c.roster.numbers[said.builder]
	if !pinned {
		if said.builder == "" {
			return nil // of an identity that no pinned rule is about
		}
		if said.statement.Type == attestation.Rebuild && !slices.Contains(output.evidence.Unpinned, said.builder) {
			output.evidence.Unpinned = append(output.evidence.Unpinned, said.builder)
		}
		return nil
	}
	if said.err == nil && output.repeats(said) {
		return nil
	}
	claim.Operator = c.roster.builders[number].Operator
	_, counted := c.roster.Counts(number, said.index)
	switch {
	case errors.Is(said.err, signing.ErrKeyNotValid):
		claim.Standing = NotValid
	case said.err != nil:
		return fmt.Errorf("%w: ledger index %d: %w", ErrForged, said.index, said.err)
	case !counted:
		claim.Standing, claim.RevokedAt = Revoked, c.roster.revokedAt[number]
	}
	if said.statement.Type == attestation.Rebuild {
		output.add(claim, number, inputsOf(said.statement, i))
	}
	if said.statement.Type == attestation.Withdraw && claim.Standing == Counts {
		output.withdraw(claim, number)
	}
	return nil
}

// repeats reports whether an earlier entry has the same statement, and notes it.
func (o *collected) repeats(said *opened) bool {
	key := claimKey{said.builder, said.payload}
	_, known := o.said[key]
	o.said[key] = struct{}{}
	return known
}

func (o *collected) add(claim Claim, number uint32, inputs attestation.Digest) {
	o.evidence.Claims = append(o.evidence.Claims, claim)
	if claim.Standing == Counts {
		o.claims.Add(divergence.Claim{
			Builder: number, Digest: claim.Digest, Index: claim.Index, Inputs: divergence.NewInputsKey(inputs),
		})
	}
}

func (o *collected) withdraw(withdrawal Claim, number uint32) {
	o.claims.Withdraw(number, withdrawal.Digest)
	for i := range o.evidence.Claims {
		claim := &o.evidence.Claims[i]
		if claim.Builder == withdrawal.Builder && claim.Digest == withdrawal.Digest && claim.Standing == Counts && !claim.Document {
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
