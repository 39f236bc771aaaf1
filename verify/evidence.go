package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
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
	Elsewhere Standing = "elsewhere" // the statement is for other ledgers
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
	if err := m.index.covers(m.Tree().Size()); err != nil {
		return nil, fmt.Errorf("collecting evidence: %w", err)
	}
	evidence, err := collect(ctx, m.Tree(), m.index, pins, outputs, progress)
	return evidence, m.replica.Damaged(err)
}

// A finder tells which entries of a tree to look at.
type finder interface {
	// roster returns the indices of all enrolments, revocations and erasures,
	// ascending.
	roster() ([]uint64, error)
	// lookup returns, for each ID, the indices of all entries that may speak of it.
	lookup(ids []attestation.OutputID) ([][]uint64, error)
}

// collector goes through the entries about outputs in ledger order.
type collector struct {
	tree     *ledger.Tree
	roster   *roster
	reader   *reading.Reader // under the keys of roster
	erased   map[attestation.Digest]struct{}
	progress Progress
	outputs  []*collected
	last     struct { // bundle of the log that entry read
		number  uint64
		records []ledger.Record
	}
}

// collected is what was found on one output.
type collected struct {
	id       attestation.OutputID
	evidence *Evidence
	claims   divergence.Output
	said     map[reading.Key]struct{} // the statements taken
}

func (c *collector) collect(ctx context.Context, x finder) error {
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
	ids := make([]attestation.OutputID, len(c.outputs))
	for i, o := range c.outputs {
		ids[i] = o.id
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
		var read func() ([]ledger.Record, error) // the bundle before: once for all who open of it
		for from := 0; from < len(next); {
			to, bundle := from+1, next[from]/ledger.BundleWidth
			for to < len(next) && to-from < 64 && next[to]/ledger.BundleWidth == bundle {
				to++
			}
			if from == 0 || next[from-1]/ledger.BundleWidth != bundle {
				read = sync.OnceValues(func() ([]ledger.Record, error) { return c.tree.Bundle(groupCtx, bundle) })
			}
			numbers, into, records := next[from:to], opened[from:to], read
			group.Go(func() error { return c.openBundle(groupCtx, numbers, records, into) })
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

// opened is what an entry says.
type opened struct {
	index      uint64
	receivedAt time.Time
	said       reading.Said
	rows       map[attestation.OutputID]int // places of the outputs in what was said, or named
	// named is what an attestation names that is not signed by whom it names, and err
	// why it is not.
	named *reading.Named
	err   error
}

// openBundle opens entries of one bundle of the log.
func (c *collector) openBundle(ctx context.Context, entries []uint64, read func() ([]ledger.Record, error), into []*opened) error {
	records, err := read()
	if err != nil {
		return fmt.Errorf("reading entry %d: %w", entries[0], err)
	}
	for i, n := range entries {
		entry, err := reading.Decode(records[n%ledger.BundleWidth])
		if err != nil {
			return err
		}
		if into[i], err = c.openEntry(ctx, n, entry); err != nil {
			return fmt.Errorf("ledger index %d: %w", n, err)
		}
	}
	return nil
}

func (c *collector) openEntry(ctx context.Context, n uint64, entry *ledger.Entry) (*opened, error) {
	said, err := c.reader.Read(ctx, n, entry)
	if err != nil {
		return nil, err
	}
	o := &opened{index: n, receivedAt: entry.ReceivedAt, said: said}
	var outputs []attestation.OutputID
	switch said := said.(type) {
	case *reading.Statement:
		outputs = said.Outputs
	case *reading.Document:
		outputs = said.Outputs
	case *reading.Refused:
		if !entry.Kind.IsStatement() {
			break // moves nothing, for any reader
		}
		o.err = said
		if o.named, err = reading.Peek(n, entry); err != nil {
			return nil, err
		}
		if o.named.Builder == "" {
			c.refuseKeyless(o)
		}
		outputs = o.named.IDs()
	}
	o.rows = make(map[attestation.OutputID]int, len(outputs))
	for i, id := range outputs {
		o.rows[id] = i
	}
	return o, nil
}

func (c *collector) entry(ctx context.Context, n uint64) (*ledger.Entry, error) {
	if bundle := n / ledger.BundleWidth; c.last.records == nil || c.last.number != bundle {
		records, err := c.tree.Bundle(ctx, bundle)
		if err != nil {
			return nil, fmt.Errorf("reading entry %d: %w", n, err)
		}
		c.last.number, c.last.records = bundle, records
	}
	return c.last.records[n%ledger.BundleWidth].Entry()
}

// takeAway follows a revocation, an erasure, or another version of the rules. One that cannot be read moves
// nothing, for any reader.
func (c *collector) takeAway(ctx context.Context, n uint64) error {
	entry, err := c.entry(ctx, n)
	if err != nil {
		return err
	}
	said, err := reading.Administrative(n, entry)
	if err != nil {
		return err
	}
	switch said := said.(type) {
	case *reading.Revocation:
		c.roster.revoke(said.Builder, said.From, n)
	case *reading.Erasure:
		c.erased[said.Attachment] = struct{}{}
		delete(c.roster.packets, said.Attachment)
	case *reading.Rules:
		c.roster.rules.Judge(n, uint32(said.Version))
	}
	return nil
}

// take adds what one entry says of an output.
func (c *collector) take(said *opened, output *collected) error {
	i, ok := said.rows[output.id]
	if !ok {
		return nil // another output with the same prefix
	}
	switch s := said.said.(type) {
	case *reading.Statement:
		c.takeStatement(said, s, i, output)
	case *reading.Document:
		c.takeDocument(said, s, i, output)
	default:
		return c.takeRefused(said, i, output)
	}
	return nil
}

// takeStatement adds what a pinned builder said of an output, unless an earlier entry
// has the same statement.
func (c *collector) takeStatement(said *opened, s *reading.Statement, i int, output *collected) {
	if _, repeated := output.said[s.Key]; repeated {
		return
	}
	output.said[s.Key] = struct{}{}
	claim := c.claim(said, s.Number, s.Statement, i)
	switch s.Type {
	case attestation.Rebuild:
		output.add(claim, s.ClaimOn(i))
	case attestation.Withdraw:
		if claim.Standing == Counts {
			output.withdraw(claim, s.WithdrawalOn(i))
		}
	case attestation.BuildFailed: // is about no output
	}
}

// takeRefused adds what an attestation names that does not verify: a claim by a key
// that was not valid is shown, and a forged one convicts.
func (c *collector) takeRefused(said *opened, i int, output *collected) error {
	builder, s := said.named.Builder, said.named.Statement
	number, pinned := c.roster.numbers[builder]
	switch {
	case builder == "":
		return nil // of an identity that no pinned rule is about
	case !pinned:
		if s.Type == attestation.Rebuild && !slices.Contains(output.evidence.Unpinned, builder) {
			output.evidence.Unpinned = append(output.evidence.Unpinned, builder)
		}
		return nil
	case errors.Is(said.err, reading.ErrOtherLedger):
		if s.Type == attestation.Rebuild {
			claim := c.claim(said, number, s, i)
			claim.Standing, claim.RevokedAt = Elsewhere, 0
			output.evidence.Claims = append(output.evidence.Claims, claim)
		}
		return nil
	case !errors.Is(said.err, signing.ErrKeyNotValid):
		return fmt.Errorf("%w: ledger index %d: %w", ErrForged, said.index, said.err)
	}
	if s.Type == attestation.Rebuild {
		claim := c.claim(said, number, s, i)
		claim.Standing, claim.RevokedAt = NotValid, 0
		output.evidence.Claims = append(output.evidence.Claims, claim)
	}
	return nil
}

// claim returns a pinned builder's claim in a statement of the subject with a place.
func (c *collector) claim(said *opened, number uint32, s *attestation.Statement, i int) Claim {
	claim := c.counted(said, number)
	claim.Digest, claim.DigestKind = s.Subjects[i].Digest, s.DigestKind
	return claim
}

// counted returns a claim of a pinned builder, with whether it counts.
func (c *collector) counted(said *opened, number uint32) Claim {
	b := &c.roster.builders[number]
	claim := Claim{Index: said.index, ReceivedAt: said.receivedAt, Builder: b.ID, Operator: b.Operator, Standing: Counts}
	if _, counted := c.roster.Counts(number, said.index); !counted {
		claim.Standing, claim.RevokedAt = Revoked, c.roster.revokedAt[number]
	}
	return claim
}

func (o *collected) add(claim Claim, said reading.Claim) {
	o.evidence.Claims = append(o.evidence.Claims, claim)
	if claim.Standing == Counts {
		o.claims.Add(said.At(claim.Index))
	}
}

func (o *collected) withdraw(withdrawal Claim, said reading.Withdrawal) {
	o.claims.Withdraw(said.Builder, said.Digest)
	for i := range o.evidence.Claims {
		claim := &o.evidence.Claims[i]
		if claim.Builder == withdrawal.Builder && claim.Digest == withdrawal.Digest && claim.Standing == Counts && !claim.Document {
			claim.Standing = Withdrawn
		}
	}
}

// Digests returns the digests of the claims that count, each with its operators
// in the order of their names. The one with the most operators comes first.
func (e *Evidence) Digests() []Position {
	kinds := map[attestation.Digest]attestation.DigestKind{} // by the first claim of each
	factions := divergence.Factions(func(yield func(attestation.Digest, string) bool) {
		for _, claim := range e.Claims {
			if claim.Standing != Counts {
				continue
			}
			if _, known := kinds[claim.Digest]; !known {
				kinds[claim.Digest] = claim.DigestKind
			}
			if !yield(claim.Digest, claim.Operator) {
				return
			}
		}
	})
	positions := make([]Position, len(factions))
	for i, f := range factions {
		positions[i] = Position{Digest: f.Digest, Kind: kinds[f.Digest], Operators: f.Holders}
	}
	return positions
}

// A Position is a digest and the operators that stand for it.
type Position struct {
	Digest    attestation.Digest
	Kind      attestation.DigestKind
	Operators []string
}
