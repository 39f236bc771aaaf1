package enrolment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A Roster is the fold of enrolments and revocations up to some ledger entry.
// Builders and operators are numbered in the order in which they were first
// enrolled, so the numbers are the same for everybody who reads the ledger. A
// Roster may be used from several goroutines. It tells the state at one place in
// the ledger: a part that follows the ledger at a pace of its own keeps its own.
type Roster struct {
	mu        sync.RWMutex // guards everything below
	builders  []Builder
	numbers   map[signing.BuilderID]uint32
	operators map[string]uint32
	names     []string // of operators, by number

	certificates map[string][]attestation.Digest // attachments, by project, in ledger order
	caches       map[string][]uint32             // builders that sign narinfo, by NixName
	keyless      []keyless                       // in the order of their numbers
	named        map[attestation.Digest]Naming   // attachments
	newest       []newest                        // by number of builder
	rules        []ruling                        // in ledger order
}

// A ruling is a version of the rules of evidence and the entry from which on it judges.
type ruling struct {
	index   uint64
	version uint32
}

// newest is a builder's newest enrolment.
type newest struct {
	index uint64
	body  [sha256.Size]byte // its SHA-256
}

// A Builder is what the ledger says of one builder.
type Builder struct {
	ID             signing.BuilderID
	Number         uint32
	Operator       string
	OperatorNumber uint32
	Tier           Tier
	Key            signing.Key // its PublicKey is nil of a certificate or an identity
	NixName        string
	Certificates   []OpenPGP // one builder may sign for several projects, and renew
	Keyless        *Keyless  // of an identity
	EnrolledAt     uint64    // ledger index of the first enrolment
	// Replaces is the builder whose key endorsed this one; empty where none did.
	Replaces    signing.BuilderID
	Endorsement attestation.Digest // attachment of the newest enrolment that has one
	// Revoked tells that statements at RevokedFrom and later do not count. The
	// revocation itself is at RevokedAt: if that is greater, it is back-dated.
	Revoked       bool
	RevokedFrom   uint64
	RevokedAt     uint64
	RevokedReason string
}

// NewRoster returns an empty roster.
func NewRoster() *Roster {
	return &Roster{
		numbers: map[signing.BuilderID]uint32{}, operators: map[string]uint32{},
		certificates: map[string][]attestation.Digest{}, caches: map[string][]uint32{},
		named: map[attestation.Digest]Naming{},
	}
}

// ErrConflict is wrapped by [Roster.Check] and [Roster.Apply] for an entry that
// contradicts earlier ones.
var ErrConflict = errors.New("contradicts an earlier entry")

// Check reports why the next entry of this kind and body could not be applied.
func (r *Roster) Check(kind ledger.Kind, body []byte) error {
	switch kind {
	case ledger.Enrolment:
		e, _, err := ParseEnrolment(body)
		if err != nil {
			return err
		}
		r.mu.RLock()
		defer r.mu.RUnlock()
		return r.admits(e)
	case ledger.Revocation:
		revocation, err := ParseRevocation(body)
		if err != nil {
			return err
		}
		if _, known := r.Builder(revocation.Builder); !known {
			return neverEnrolled(revocation.Builder)
		}
	}
	return nil
}

// admits reports why an enrolment cannot be the next entry. The caller holds mu.
func (r *Roster) admits(e *Enrolment) error {
	if number, known := r.numbers[e.Builder]; known {
		if err := r.builders[number].accepts(e); err != nil {
			return err
		}
	}
	if e.Replaces == "" {
		return nil
	}
	number, known := r.numbers[e.Replaces]
	if !known {
		return neverEnrolled(e.Replaces)
	}
	older := &r.builders[number]
	if older.Operator != e.Operator {
		return fmt.Errorf("%w: builder %s, which is replaced, belongs to operator %s, not %s", ErrConflict, older.ID, older.Operator, e.Operator)
	}
	if older.Revoked {
		return fmt.Errorf("%w: builder %s was revoked: its key cannot endorse another", ErrConflict, older.ID)
	}
	return nil
}

// accepts reports why an enrolment cannot follow what is known of its builder.
func (b *Builder) accepts(e *Enrolment) error {
	if b.Operator != e.Operator {
		return fmt.Errorf("%w: builder %s belongs to operator %s, not %s", ErrConflict, b.ID, b.Operator, e.Operator)
	}
	if b.Revoked {
		return fmt.Errorf("%w: builder %s was revoked: enrol a new key", ErrConflict, b.ID)
	}
	return nil
}

func neverEnrolled(id signing.BuilderID) error {
	return fmt.Errorf("%w: builder %s was never enrolled", ErrConflict, id)
}

// Apply folds the entry at a ledger index in, if it is of a kind that concerns
// the roster. It returns the builder that it changed, and false where it changed
// nothing that moves verdicts of statements made before it (the first enrolment
// of a builder). An entry that cannot be applied leaves the roster unchanged;
// readers go on after it, because every reader does.
func (r *Roster) Apply(index uint64, kind ledger.Kind, body []byte) (builder uint32, rejudge bool, err error) {
	switch kind {
	case ledger.Enrolment:
		e, key, err := ParseEnrolment(body)
		if err != nil {
			return 0, false, err
		}
		return r.enrol(newest{index, sha256.Sum256(body)}, e, key)
	case ledger.Revocation:
		revocation, err := ParseRevocation(body)
		if err != nil {
			return 0, false, err
		}
		return r.revoke(index, revocation)
	}
	return 0, false, nil
}

// Judge follows an entry that says which version of the rules (reading.Version) judges from
// a ledger index on. Entries come in ledger order. One with a version that judges already, or
// with an earlier one, changes nothing.
func (r *Roster) Judge(index uint64, version uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.rules); n > 0 && version <= r.rules[n-1].version {
		return
	}
	r.rules = append(r.rules, ruling{index, version})
}

// RulesAt returns the version of the rules that judges the entry at a ledger index.
func (r *Roster) RulesAt(index uint64) uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, said := range slices.Backward(r.rules) {
		if said.index <= index {
			return said.version
		}
	}
	return 1
}

func (r *Roster) enrol(this newest, e *Enrolment, key *signing.PublicKey) (uint32, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admits(e); err != nil {
		return 0, false, err
	}
	validity := signing.Key{PublicKey: key, NotBefore: e.NotBefore, NotAfter: e.NotAfter}
	if number, known := r.numbers[e.Builder]; known {
		b := &r.builders[number]
		rejudge := b.Tier != e.Tier
		b.Tier, b.Key = e.Tier, validity
		r.newest[number] = this
		r.equip(b, e)
		return number, rejudge, nil
	}
	operator, known := r.operators[e.Operator]
	if !known {
		operator = uint32(len(r.names))
		r.operators[e.Operator] = operator
		r.names = append(r.names, e.Operator)
	}
	number := uint32(len(r.builders))
	r.numbers[e.Builder] = number
	r.builders = append(r.builders, Builder{
		ID: e.Builder, Number: number, Operator: e.Operator, OperatorNumber: operator,
		Tier: e.Tier, Key: validity, EnrolledAt: this.index, RevokedFrom: math.MaxUint64,
	})
	r.newest = append(r.newest, this)
	r.equip(&r.builders[number], e)
	return number, false, nil
}

// Repeats reports whether an entry is an enrolment that says of its builder what the
// newest one says already, byte for byte, and at which ledger index that one is.
func (r *Roster) Repeats(kind ledger.Kind, body []byte) (index uint64, repeats bool) {
	if kind != ledger.Enrolment {
		return 0, false
	}
	e, _, err := ParseEnrolment(body)
	if err != nil {
		return 0, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	number, known := r.numbers[e.Builder]
	if !known || r.newest[number].body != sha256.Sum256(body) {
		return 0, false
	}
	return r.newest[number].index, true
}

// equip notes what the enrolment says beyond the key: where it comes from, and
// what third-party evidence the builder may sign from now on.
func (r *Roster) equip(b *Builder, e *Enrolment) {
	r.name(e)
	if e.Replaces != "" {
		b.Replaces = e.Replaces
	}
	if !e.Endorsement.IsZero() {
		b.Endorsement = e.Endorsement
	}
	if e.Keyless != nil {
		if b.Keyless == nil {
			// An enrolment that holds has a rule that does.
			if matches, err := e.Keyless.Rule.Matcher(); err == nil {
				r.keyless = append(r.keyless, keyless{b.Number, matches})
			}
		}
		b.Keyless = e.Keyless
	}
	if e.NixName != "" && e.NixName != b.NixName {
		b.NixName = e.NixName
		if !slices.Contains(r.caches[e.NixName], b.Number) {
			r.caches[e.NixName] = append(r.caches[e.NixName], b.Number)
		}
	}
	if e.OpenPGP != nil && !slices.Contains(b.Certificates, *e.OpenPGP) {
		b.Certificates = append(slices.Clip(b.Certificates), *e.OpenPGP) // copies of b share what is there
		r.certificates[e.OpenPGP.Project] = append(r.certificates[e.OpenPGP.Project], e.OpenPGP.Certificate)
	}
}

// Certificates returns the attachments with the certificates that were enrolled
// for a project, in ledger order. The list only ever grows.
func (r *Roster) Certificates(project string) []attestation.Digest {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clip(r.certificates[project])
}

// Caches returns the builders that sign narinfo by a name, revoked ones too.
func (r *Roster) Caches(name string) []Builder {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Builder
	for _, number := range r.caches[name] {
		if r.builders[number].NixName == name {
			found = append(found, r.builders[number])
		}
	}
	return found
}

func (r *Roster) revoke(index uint64, revocation *Revocation) (uint32, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number, known := r.numbers[revocation.Builder]
	if !known {
		return 0, false, neverEnrolled(revocation.Builder)
	}
	b := &r.builders[number]
	from := min(revocation.From, index)
	if b.Revoked && b.RevokedFrom <= from {
		return number, false, nil
	}
	b.Revoked, b.RevokedFrom, b.RevokedAt, b.RevokedReason = true, from, index, revocation.Reason
	return number, true, nil
}

// Lookup is the [sigstore.Lookup] of the roster's present state.
func (r *Roster) Lookup(id signing.BuilderID) (signing.Key, error) {
	b, ok := r.Builder(id)
	if !ok {
		return signing.Key{}, fmt.Errorf("%w: %s", signing.ErrUnknownBuilder, id)
	}
	if b.Revoked {
		return signing.Key{}, fmt.Errorf("%w: builder %s was revoked from ledger index %d on", signing.ErrKeyNotValid, id, b.RevokedFrom)
	}
	return b.Key, nil
}

// Builder returns a builder by its ID.
func (r *Roster) Builder(id signing.BuilderID) (Builder, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	number, ok := r.numbers[id]
	if !ok {
		return Builder{}, false
	}
	return r.builders[number], true
}

// ByNumber returns a builder by its number.
func (r *Roster) ByNumber(number uint32) (Builder, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if int(number) >= len(r.builders) {
		return Builder{}, false
	}
	return r.builders[number], true
}

// Counts implements divergence.Operators: the operator behind a builder, and
// whether a claim that the builder made at a ledger index moves verdicts.
func (r *Roster) Counts(builder uint32, index uint64) (operator uint32, counted bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if int(builder) >= len(r.builders) {
		return 0, false
	}
	b := &r.builders[builder]
	return b.OperatorNumber, b.Tier == Counted && index < b.RevokedFrom
}

// All yields the builders in the order of their numbers, as they are now.
func (r *Roster) All() iter.Seq[Builder] {
	r.mu.RLock()
	builders := append([]Builder(nil), r.builders...)
	r.mu.RUnlock()
	return func(yield func(Builder) bool) {
		for _, b := range builders {
			if !yield(b) {
				return
			}
		}
	}
}
