package reading

import (
	"context"
	"fmt"
	"sync"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// Attachments returns the bytes that have a SHA-256. An error that wraps
// ledger.ErrErased says that the ledger took them away.
type Attachments func(ctx context.Context, sum attestation.Digest) ([]byte, error)

// Roster says who may sign what. enrolment.Roster is one. A builder's Number is what
// claims name it by.
type Roster interface {
	// Lookup returns a builder's key, as sigstore.Lookup has it.
	Lookup(id signing.BuilderID) (signing.Key, error)
	// Certificates returns the attachments enrolled for a project, in order. A
	// later answer only ever adds to an earlier one.
	Certificates(project string) []attestation.Digest
	// Caches returns the builders that sign narinfo by a name.
	Caches(name string) []enrolment.Builder
	Builder(id signing.BuilderID) (enrolment.Builder, bool)
	// Keyless returns the builder of an identity.
	Keyless(who signing.Identity) (enrolment.Builder, bool)
	// RulesAt returns the version of the rules that judges the entry at a ledger index.
	RulesAt(index uint64) uint32
}

// A Reader opens entries under the keys of a roster, as it is when they are opened. It
// may be used from several goroutines.
type Reader struct {
	roster      Roster
	attachments Attachments
	texts       Attachments // see TextsFrom
	origin      string      // see In
	recent      *Recent     // see After

	mu     sync.Mutex // guards what follows
	rings  map[string]*ring
	parsed map[attestation.Digest][]*openpgp.Certificate
	roots  map[attestation.Digest]*sigstore.TrustedRoot // nil: erased, or none
}

// New returns a reader under the keys of a roster whose certificates and trusted roots
// are in attachments.
func New(roster Roster, attachments Attachments) *Reader {
	return &Reader{
		roster: roster, attachments: attachments, texts: attachments, rings: map[string]*ring{},
		parsed: map[attestation.Digest][]*openpgp.Certificate{}, roots: map[attestation.Digest]*sigstore.TrustedRoot{},
	}
}

// TextsFrom has the texts of documents read from elsewhere than certificates and trusted
// roots are, and returns the reader.
func (r *Reader) TextsFrom(texts Attachments) *Reader {
	r.texts = texts
	return r
}

// In says which ledger is read, by its origin, and returns the reader. Without it no
// statement counts that names the ledgers in which it does.
func (r *Reader) In(origin string) *Reader {
	r.origin = origin
	return r
}

// After takes statements from those that were opened a moment ago by who puts them there,
// and returns the reader.
func (r *Reader) After(recent *Recent) *Reader {
	r.recent = recent
	return r
}

// Said is what an entry says: one of the types that the package's documentation lists.
type Said interface{ said() }

func (*Statement) said()  {}
func (*Document) said()   {}
func (*Set) said()        {}
func (*Enrolment) said()  {}
func (*Revocation) said() {}
func (*Erasure) said()    {}
func (*MapRoot) said()    {}
func (*Rules) said()      {}
func (*Refused) said()    {}

// Refused is an entry that breaks its rules: it moves nothing, for any reader. It is
// also the error that says so of what is not in the ledger yet.
type Refused struct {
	// Err says why. Of an attestation it wraps a sentinel of package signing.
	Err error
}

func (r *Refused) Error() string { return r.Err.Error() }

func (r *Refused) Unwrap() error { return r.Err }

// An Enrolment says to which operator a builder belongs from here on. Whether it can be
// applied is the roster's subject (enrolment.Roster.Apply).
type Enrolment struct {
	*enrolment.Enrolment
	Key *signing.PublicKey // nil of a certificate or an identity
}

// A Revocation says from where on a builder's statements do not count.
type Revocation struct{ *enrolment.Revocation }

// An Erasure says that an attachment was never there.
type Erasure struct{ *enrolment.Erasure }

// Read says what the entry at a ledger index says under the keys of that place. An
// error is a [NewerError], or says that an attachment cannot be had now, which every
// reader needs to come to the same end.
func (r *Reader) Read(ctx context.Context, index uint64, e *ledger.Entry) (Said, error) {
	if IsEvidence(e.Kind) {
		d, err := r.document(ctx, e.Kind, e.Body, when{e.ReceivedAt, Version(r.roster.RulesAt(index))})
		return settle(d, err)
	}
	if e.Kind.IsStatement() {
		s, err := r.Statement(ctx, e.Body, e.ReceivedAt)
		if err == nil {
			err = fits(e.Kind, s.Statement)
		}
		return settle(s, err)
	}
	return Administrative(index, e)
}

// Administrative returns what an entry says that its ledger's holder wrote, and that
// needs no keys to be read. Attestations and documents, which only a [Reader] opens, are
// [Refused]. An error is a [NewerError].
func Administrative(index uint64, e *ledger.Entry) (Said, error) {
	switch e.Kind {
	case ledger.PackageSet:
		set, err := pkgset.ParseEntry(e.Body)
		return settle(&Set{set}, refused(err))
	case ledger.Enrolment:
		enrolled, key, err := enrolment.ParseEnrolment(e.Body)
		return settle(&Enrolment{enrolled, key}, refused(err))
	case ledger.Revocation:
		revoked, err := enrolment.ParseRevocation(e.Body)
		return settle(&Revocation{revoked}, refused(err))
	case ledger.Erased:
		erased, err := enrolment.ParseErasure(e.Body)
		return settle(&Erasure{erased}, refused(err))
	case ledger.MapRoot:
		root, err := ParseMapRoot(index, e.Body)
		return settle(&root, err)
	case ledger.Rules:
		rules, err := parseRules(index, e.Body)
		return settle(rules, err)
	default:
		if err := Known(index, e); err != nil {
			return nil, err
		}
		return &Refused{fmt.Errorf("an entry of kind %q is not the ledger's holder's word", e.Kind)}, nil
	}
}

// As returns what an entry says that its ledger's holder wrote, if that is an S: not if
// the entry is of another kind, or breaks its rules and moves nothing.
func As[S Said](index uint64, e *ledger.Entry) (said S, ok bool) {
	if any, err := Administrative(index, e); err == nil {
		said, ok = any.(S)
	}
	return said, ok
}

// settle makes a refusal what the entry says.
func settle[S Said](said S, err error) (Said, error) {
	if err == nil {
		return said, nil
	}
	if r, ok := err.(*Refused); ok { //nolint:errorlint // made by this package, never wrapped
		return r, nil
	}
	return nil, err
}

// refused says that an entry breaks its rules, if there is an error.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return &Refused{err}
}

// unavailable says what a reader cannot go on without.
func unavailable(what string, err error) error { return fmt.Errorf("reading %s: %w", what, err) }
