package openpgp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/attestation"
	"repronet.dev/evidence"
	"repronet.dev/signing"
)

// MaxSignatures bounds the signatures of one [Signed]. A [Document] has at most
// maxDocumentSignatures: an entry that was no evidence once never becomes it.
const (
	MaxSignatures         = 64
	maxDocumentSignatures = 16
)

// A Signature is what became of one signature of a document.
type Signature struct {
	State  evidence.State
	Reason string // why it does not count; empty if it does
	// KeyID is the signing key's, as the signature names it.
	KeyID uint64
	// Created is when the signature was made, by its maker's own assertion.
	Created time.Time
	// Primary and Builder say who signed. They are empty in the states Bad and
	// UnknownKey.
	Primary Fingerprint
	Builder signing.BuilderID
	// Statement is the same for every spelling of the same word of the same
	// builder: the SHA-256 over the project, the text and Created. Signatures
	// can be spelled in many ways.
	Statement attestation.Digest
}

// Verified is a document with all its signatures judged. Whose of them counts for
// a ledger is package reading's subject. Only [Open] makes one.
type Verified struct {
	sums       Sums
	signatures []Signature
}

// Sums returns what the document says.
func (v *Verified) Sums() Sums { return v.sums }

// Signatures returns all signatures in the order of the document.
func (v *Verified) Signatures() []Signature { return v.signatures }

// Open reads a document and judges its signatures at the time at, when it was
// received. An error wraps [ErrMalformed]: the bytes are no evidence. Everything
// else is evidence, in the states that the result's signatures have.
func Open(body []byte, lookup Lookup, at time.Time) (*Verified, error) {
	document, err := ParseDocument(body)
	if err != nil {
		return nil, err
	}
	return OpenDocument(document, lookup, at)
}

// OpenDocument is [Open] of a document that was parsed already.
func OpenDocument(document *Document, lookup Lookup, at time.Time) (*Verified, error) {
	if err := document.validate(); err != nil {
		return nil, fmt.Errorf("%w checksum document: %w", ErrMalformed, err)
	}
	signatures, err := judgeAll(document.Project, document.Text, document.Signature, maxDocumentSignatures, lookup, at)
	if err != nil {
		return nil, err
	}
	return &Verified{ParseSums(document.Project, document.Text), signatures}, nil
}

func judgeAll(project string, text, signature []byte, most int, lookup Lookup, at time.Time) ([]Signature, error) {
	packets, err := signaturePackets(signature, most)
	if err != nil {
		return nil, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	var signatures []Signature
	for _, p := range packets {
		signatures = append(signatures, judge(project, text, p, lookup, at))
	}
	return signatures, nil
}

// signaturePackets returns the signatures of a detached signature file, at most so
// many. An element may be a packet that go-crypto does not support.
func signaturePackets(data []byte, most int) ([]packet.Packet, error) {
	binaryData, err := dearmor(data, openpgp.SignatureType)
	if err != nil {
		return nil, err
	}
	var signatures []packet.Packet
	for reader := packet.NewReader(bytes.NewReader(binaryData)); ; {
		p, err := reader.NextWithUnsupported()
		switch {
		case errors.Is(err, io.EOF) && len(signatures) > 0:
			return signatures, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("contains no signature")
		case err != nil:
			return nil, fmt.Errorf("reading packet %d: %w", len(signatures)+1, err)
		case len(signatures) == most:
			return nil, fmt.Errorf("more than %d signatures", most)
		}
		inner := p
		if unsupported, ok := p.(*packet.UnsupportedPacket); ok {
			inner = unsupported.IncompletePacket
		}
		if _, ok := inner.(*packet.Signature); !ok {
			return nil, errors.New("contains something else than signatures")
		}
		signatures = append(signatures, p)
	}
}

func judge(project string, text []byte, p packet.Packet, lookup Lookup, at time.Time) Signature {
	s, ok := p.(*packet.Signature)
	if !ok {
		reason := "not supported"
		if u, is := p.(*packet.UnsupportedPacket); is {
			reason = u.Error.Error()
		}
		return Signature{Reason: reason}
	}
	result := Signature{Created: s.CreationTime.UTC()}
	if s.IssuerKeyId != nil {
		result.KeyID = *s.IssuerKeyId
	}
	if err := acceptable(s); err != nil {
		result.Reason = err.Error()
		return result
	}
	result.Statement = statement(project, text, result.Created)
	result.State, result.Reason = evidence.UnknownKey, fmt.Sprintf("key %016X is not known for project %s", result.KeyID, project)
	certificates := lookup(project, result.KeyID)
	for _, c := range certificates {
		for _, k := range c.keys {
			if k.public.KeyId != result.KeyID || result.State.Counts() {
				continue
			}
			if err := verify(k.public, s, text); err != nil {
				if result.State == evidence.UnknownKey {
					result.State, result.Reason = evidence.Bad, notOver(result.KeyID)
				}
				continue
			}
			result.Primary, result.Builder = c.fingerprint, c.Builder()
			result.State, result.Reason = k.state(s, at)
		}
	}
	for _, c := range certificates {
		c.judge(text, s, &result)
	}
	if s.Hash == crypto.SHA1 && result.State != evidence.Bad {
		result.State, result.Reason = evidence.Weak, "made with SHA-1, which proves nothing any more: kept, and never counts"
	}
	return result
}

func notOver(keyID uint64) string {
	return fmt.Sprintf("not a signature of key %016X over this text", keyID)
}

// acceptable reports why a signature is none that could be anybody's word.
func acceptable(s *packet.Signature) error {
	if s.Version != 4 && s.Version != 6 {
		return fmt.Errorf("signatures of version %d are not accepted", s.Version)
	}
	if s.SigType != packet.SigTypeBinary && s.SigType != packet.SigTypeText {
		return fmt.Errorf("a signature of type 0x%02x is not one of a document", uint8(s.SigType))
	}
	switch s.Hash {
	case crypto.SHA1: // is weak
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA224, crypto.SHA3_256, crypto.SHA3_512:
	default:
		return fmt.Errorf("made with the hash %s, which is no proof any more", s.Hash)
	}
	for _, n := range s.Notations {
		if n.IsCritical {
			return errors.New("has a critical notation, which nobody here understands")
		}
	}
	return nil
}

func verify(public *packet.PublicKey, s *packet.Signature, text []byte) error {
	direct, err := s.PrepareVerify()
	if err != nil {
		return err
	}
	content := direct
	if s.SigType == packet.SigTypeText {
		content = pgp.NewCanonicalTextHash(direct)
	}
	content.Write(text)
	return public.VerifySignature(direct, s)
}

// state judges a key's signature, which verifies, by the time that it asserts.
func (k *key) state(s *packet.Signature, at time.Time) (evidence.State, string) {
	created := s.CreationTime
	for _, r := range k.revoked {
		if r.hard {
			return evidence.Revoked, "the key was revoked as compromised, or without a reason, which holds for all that it signed"
		}
		if !created.Before(r.at) {
			return evidence.Revoked, "the key was revoked on " + date(r.at) + ", before this signature"
		}
	}
	switch {
	case created.Before(k.public.CreationTime):
		return evidence.OutsideValidity, "the key did not exist before " + date(k.public.CreationTime)
	case created.After(at.Add(attestation.ClockSkew)):
		return evidence.OutsideValidity, "the signature is dated in the future: " + date(created)
	case !k.expires.IsZero() && !created.Before(k.expires):
		return evidence.OutsideValidity, "the key had expired on " + date(k.expires)
	case s.SigExpired(at) && created.Before(at):
		return evidence.OutsideValidity, "the signature limits its own validity, which is over"
	case !k.expires.IsZero() && !at.Before(k.expires):
		return evidence.ExpiredSince, ""
	}
	return evidence.Valid, ""
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func statement(project string, text []byte, created time.Time) attestation.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "openpgp-sums\n%s\n%x\n%d\n", project, sha256.Sum256(text), created.Unix())
	return attestation.Digest(h.Sum(nil))
}
