package kinds

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/evidence"
	"repronet/evidence/narinfo"
	"repronet/evidence/openpgp"
	"repronet/ledger"
	"repronet/signing/keys"
)

// Kinds are the kinds of entries that this package opens.
func Kinds() []ledger.Kind { return []ledger.Kind{ledger.OpenPGPSums, ledger.Narinfo} }

// A Row is what evidence says of one output.
type Row struct {
	Output  string
	Digests []attestation.Digest // several: the name is ambiguous
}

// A Signer is one signature of evidence.
type Signer struct {
	Builder keys.BuilderID // empty in the states Bad and UnknownKey
	State   evidence.State
	Reason  string // why it does not count; empty if it does
	// SignedAt is the signer's own assertion; zero where there is none.
	SignedAt time.Time
}

// Time is when the document was signed, as divergence.Claim has it: in seconds
// since 1970, 0 where the document does not say.
func (s *Signer) Time() uint64 {
	if s.SignedAt.IsZero() {
		return 0
	}
	return uint64(max(1, s.SignedAt.Unix()))
}

// Evidence is what an entry of third-party evidence says, with all signatures
// judged. Only [Keys.Open] makes one.
type Evidence struct {
	Kind       ledger.Kind
	Ecosystem  string
	DigestKind attestation.DigestKind
	Rows       []Row
	Signers    []Signer
	// ID is the same for every spelling of the same word of the same signers;
	// one who comes to count, or ceases to, makes it another.
	ID attestation.Digest

	fixed bool // the content address decides, not a build
}

// Counted returns the signatures that count, one for each builder: its latest.
func (e *Evidence) Counted() []Signer {
	if e.fixed {
		return nil
	}
	var counted []Signer
	for _, s := range e.Signers {
		if !s.State.Counts() {
			continue
		}
		i := slices.IndexFunc(counted, func(c Signer) bool { return c.Builder == s.Builder })
		switch {
		case i < 0:
			counted = append(counted, s)
		case s.SignedAt.After(counted[i].SignedAt):
			counted[i] = s
		}
	}
	return counted
}

// State returns the best state of the signatures.
func (e *Evidence) State() evidence.State {
	best := evidence.Bad
	for _, s := range e.Signers {
		best = max(best, s.State)
	}
	return best
}

// Reason says why nothing of the evidence counts; empty if something does.
func (e *Evidence) Reason() string {
	if len(e.Counted()) > 0 {
		return ""
	}
	if e.fixed && e.State().Counts() {
		return "fixed output: its content address decides the digest, so that agreement says nothing"
	}
	i := slices.IndexFunc(e.Signers, func(s Signer) bool { return s.State == e.State() })
	return fmt.Sprintf("%s: %s", e.Signers[i].State, e.Signers[i].Reason)
}

// Malformed reports whether an error of [Keys.Open] says that the bytes are no
// evidence. Any other is about an attachment that cannot be had now.
func Malformed(err error) bool {
	return errors.Is(err, openpgp.ErrMalformed) || errors.Is(err, narinfo.ErrMalformed)
}

// Open reads evidence that was received at a time, and judges its signatures by
// the roster as it is.
func (k *Keys) Open(ctx context.Context, kind ledger.Kind, body []byte, at time.Time) (*Evidence, error) {
	var e *Evidence
	var err error
	switch kind {
	case ledger.OpenPGPSums:
		e, err = k.openSums(ctx, body, at)
	case ledger.Narinfo:
		e, err = k.openNarinfo(body, at)
	default:
		return nil, fmt.Errorf("kind %.40q is none of third-party evidence", kind)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (k *Keys) openSums(ctx context.Context, body []byte, at time.Time) (*Evidence, error) {
	document, err := openpgp.ParseDocument(body)
	if err != nil {
		return nil, err
	}
	ring, err := k.ring(ctx, document.Project)
	if err != nil {
		return nil, err
	}
	v, err := openpgp.OpenDocument(document, ring.Lookup, at)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Kind: ledger.OpenPGPSums, Ecosystem: evidence.ReleaseEcosystem, DigestKind: attestation.File}
	sums := v.Sums()
	for _, c := range sums.Claims {
		e.Rows = append(e.Rows, Row{c.Output, []attestation.Digest{c.Digest}})
	}
	for _, a := range sums.Ambiguous {
		e.Rows = append(e.Rows, Row{a.Output, a.Digests})
	}
	var words []word
	for _, s := range v.Signatures() {
		signer := k.unlessRevoked(Signer{Builder: s.Builder, State: s.State, Reason: s.Reason, SignedAt: s.Created})
		if signer.State.Counts() && !k.signsFor(signer.Builder, document.Project) {
			signer.State, signer.Reason = evidence.UnknownKey, "not enrolled for project "+document.Project
		}
		e.Signers = append(e.Signers, signer)
		words = append(words, word{signer.State, fmt.Sprintf("%x %s %016x", s.Statement, s.Builder, s.KeyID)})
	}
	e.ID = identify(e.Kind, words)
	return e, nil
}

func (k *Keys) openNarinfo(body []byte, at time.Time) (*Evidence, error) {
	v, err := narinfo.Open(body, k.caches, at)
	if err != nil {
		return nil, err
	}
	if len(v.Signatures()) == 0 {
		return nil, fmt.Errorf("%w narinfo: it has no signature, and says nothing that could be checked", narinfo.ErrMalformed)
	}
	e := &Evidence{
		Kind: ledger.Narinfo, Ecosystem: narinfo.Ecosystem, DigestKind: attestation.NAR, fixed: v.Info().CA != "",
		Rows: []Row{{v.Output(), []attestation.Digest{v.Digest()}}},
	}
	var words []word
	for _, s := range v.Signatures() {
		signer := k.unlessRevoked(Signer{Builder: s.Builder, State: s.State, Reason: s.Reason})
		e.Signers = append(e.Signers, signer)
		words = append(words, word{signer.State, fmt.Sprintf("%x %s %s %t", sha256.Sum256(v.Info().Fingerprint()), s.Builder, s.Name, e.fixed)})
	}
	e.ID = identify(e.Kind, words)
	return e, nil
}

// unlessRevoked takes the word of a builder that the ledger revoked away.
func (k *Keys) unlessRevoked(s Signer) Signer {
	if !s.State.Counts() {
		return s
	}
	if b, ok := k.roster.Builder(s.Builder); !ok || b.Revoked {
		s.State, s.Reason = evidence.Revoked, fmt.Sprintf("builder %s was revoked from ledger index %d on", s.Builder, b.RevokedFrom)
	}
	return s
}

// signsFor reports whether a builder was enrolled for a project, with an
// attachment that holds its certificate. That the certificate is in the project's
// keyring is no proof: somebody else's enrolment may name it.
func (k *Keys) signsFor(builder keys.BuilderID, project string) bool {
	b, ok := k.roster.Builder(builder)
	return ok && slices.ContainsFunc(b.Certificates, func(c enrolment.OpenPGP) bool {
		return c.Project == project && k.certified(c)
	})
}

// word is what one signature says, in the state in which it says so.
type word struct {
	state evidence.State
	text  string
}

// identify hashes the words that count; where none does, those that may come to.
// Whoever adds signatures that prove nothing to a document makes no other of it.
func identify(kind ledger.Kind, words []word) attestation.Digest {
	counts := slices.ContainsFunc(words, func(w word) bool { return w.state.Counts() })
	words = slices.DeleteFunc(words, func(w word) bool { return w.state == evidence.Bad || w.state.Counts() != counts })
	slices.SortFunc(words, func(a, b word) int { return cmp.Compare(a.text, b.text) })
	h := sha256.New()
	fmt.Fprintf(h, "%s\ncounts %t\n", kind, counts)
	for _, w := range slices.CompactFunc(words, func(a, b word) bool { return a.text == b.text }) {
		fmt.Fprintln(h, w.text)
	}
	return attestation.Digest(h.Sum(nil))
}
