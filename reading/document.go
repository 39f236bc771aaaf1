package reading

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/evidence"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A Row is what a document says of one output.
type Row struct {
	Output  string
	Digests []attestation.Digest // several: the name is ambiguous
}

// A Signer is one signature of a document.
type Signer struct {
	Builder signing.BuilderID // empty in the states Bad and UnknownKey
	Number  uint32            // in the roster, of one that counts
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

// A Document is what an entry of third-party evidence says, with all signatures
// judged. Only a [Reader] makes one.
type Document struct {
	Kind       ledger.Kind
	Ecosystem  string
	DigestKind attestation.DigestKind
	Rows       []Row
	// Outputs are the IDs of the rows, in their order.
	Outputs []attestation.OutputID
	Signers []Signer
	// Inputs is the digest of all that went into what the rows name, as
	// attestation.Build has it; zero where the document does not say.
	Inputs attestation.Digest
	// ID is the same for every spelling of the same word of the same signers;
	// one who comes to count, or ceases to, makes it another.
	ID attestation.Digest

	// Needs is the version of the rules by which the document is judged rightly, where an
	// earlier one judges at its place: who writes the entry has that version judge first.
	// 0 where the rules at its place do.
	Needs Version

	fixed   bool     // the content address decides, not a build
	counted []Signer // see Counted
	words   []word
}

// Key is that of the document among those of statements, to know it again.
func (d *Document) Key() Key { return DocumentKey(d.ID) }

// DocumentKey is the key of the document with an [Document.ID]. A document has no
// builder of its own, and no builder's ID is spelled like what stands in its place.
func DocumentKey(id attestation.Digest) Key { return NewKey("evidence", id) }

// Counted returns the signatures that count, one for each builder: its latest.
func (d *Document) Counted() []Signer { return d.counted }

// State returns the best state of the signatures.
func (d *Document) State() evidence.State {
	best := evidence.Bad
	for _, s := range d.Signers {
		best = max(best, s.State)
	}
	return best
}

// Reason says why nothing of the document counts; empty if something does.
func (d *Document) Reason() string {
	if len(d.counted) > 0 {
		return ""
	}
	if d.fixed && d.State().Counts() {
		return "fixed output: its content address decides the digest, so that agreement says nothing"
	}
	i := slices.IndexFunc(d.Signers, func(s Signer) bool { return s.State == d.State() })
	return fmt.Sprintf("%s: %s", d.Signers[i].State, d.Signers[i].Reason)
}

// Claims yields what the document claims in the names of those whose signatures count,
// row by row.
func (d *Document) Claims() iter.Seq[Claim] {
	return func(yield func(Claim) bool) {
		for i := range d.Rows {
			for c := range d.ClaimsOn(i) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// ClaimsOn yields what the document claims of the output with a place in Outputs, by
// signer in the order of Counted.
func (d *Document) ClaimsOn(i int) iter.Seq[Claim] {
	return func(yield func(Claim) bool) {
		row := &d.Rows[i]
		inputs := inputsKey(d.Inputs)
		for s := range d.counted {
			c := Claim{
				Output: row.Output, ID: d.Outputs[i], Builder: d.counted[s].Number,
				Inputs: inputs, Document: true, SignedAt: d.counted[s].Time(), Ambiguous: len(row.Digests) > 1,
			}
			for _, c.Digest = range row.Digests {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Document opens third-party evidence that was received at a time, by the rules that judge
// at the ledger's end. An error is a
// [Refused], or says that an attachment cannot be had now.
func (r *Reader) Document(ctx context.Context, kind ledger.Kind, body []byte, at time.Time) (*Document, error) {
	return r.document(ctx, kind, body, when{at, Version(r.roster.RulesAt(math.MaxUint64))})
}

func (r *Reader) document(ctx context.Context, kind ledger.Kind, body []byte, at when) (*Document, error) {
	k := kindOf(kind)
	if k == nil {
		return nil, &Refused{fmt.Errorf("%w: kind %.40q is none of third-party evidence", evidence.ErrMalformed, kind)}
	}
	d, err := k.open(ctx, r, body, at)
	if errors.Is(err, evidence.ErrMalformed) {
		return nil, &Refused{err}
	}
	return d, err
}

// sign adds a signature, of which text is the word: the same for every spelling of what
// it says. Who was revoked by the ledger says nothing.
func (d *Document) sign(r *Reader, s Signer, text func(Signer) string) {
	if s.State.Counts() {
		b, ok := r.roster.Builder(s.Builder)
		s.Number = b.Number
		if !ok || b.Revoked {
			s.State, s.Reason = evidence.Revoked, fmt.Sprintf("builder %s was revoked from ledger index %d on", s.Builder, b.RevokedFrom)
		}
	}
	d.Signers = append(d.Signers, s)
	d.words = append(d.words, word{s.State, text(s)})
}

// complete fills in what follows from rows and signatures.
func (d *Document) complete() *Document {
	d.Outputs = make([]attestation.OutputID, len(d.Rows))
	for i := range d.Rows {
		d.Outputs[i] = attestation.NewOutputID(d.Ecosystem, d.Rows[i].Output)
	}
	d.ID, d.words = identify(d.Kind, d.words), nil
	if d.fixed {
		return d
	}
	for _, s := range d.Signers {
		if !s.State.Counts() {
			continue
		}
		i := slices.IndexFunc(d.counted, func(c Signer) bool { return c.Builder == s.Builder })
		switch {
		case i < 0:
			d.counted = append(d.counted, s)
		case s.SignedAt.After(d.counted[i].SignedAt):
			d.counted[i] = s
		}
	}
	return d
}

// word is what one signature says, in the state in which it says so.
type word struct {
	state evidence.State
	text  string
}

// identify hashes the words that count; where none does, those that may come to; and
// where none may, the weak ones.
// Signatures that prove nothing make no other document of one to which they are added.
func identify(kind ledger.Kind, words []word) attestation.Digest {
	counts := slices.ContainsFunc(words, func(w word) bool { return w.state.Counts() })
	said := slices.ContainsFunc(words, func(w word) bool { return w.state > evidence.Weak })
	words = slices.DeleteFunc(words, func(w word) bool {
		return w.state == evidence.Bad || w.state == evidence.Weak && said || w.state.Counts() != counts
	})
	slices.SortFunc(words, func(a, b word) int { return cmp.Compare(a.text, b.text) })
	h := sha256.New()
	fmt.Fprintf(h, "%s\ncounts %t\n", kind, counts)
	for _, w := range slices.CompactFunc(words, func(a, b word) bool { return a.text == b.text }) {
		fmt.Fprintln(h, w.text)
	}
	return attestation.Digest(h.Sum(nil))
}
