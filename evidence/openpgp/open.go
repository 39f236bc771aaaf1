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

	"repronet/attestation"
	"repronet/evidence"
	"repronet/signing/keys"
)

// MaxSignatures bounds the signatures of one document.
const MaxSignatures = 16

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
	Builder keys.BuilderID
	// Statement is the same for every spelling of the same word of the same
	// builder: the SHA-256 over the project, the text and Created. Signatures
	// can be spelled in many ways.
	Statement attestation.Digest
}

// Verified is a document with all its signatures judged. Whose of them counts for
// a ledger is package kinds' subject. Only [Open] makes one.
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
	packets, err := signaturePackets(document.Signature)
	if err != nil {
		return nil, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	v := &Verified{sums: ParseSums(document.Project, document.Text)}
	for _, p := range packets {
		v.signatures = append(v.signatures, judge(document, p, lookup, at))
	}
	return v, nil
}

// signaturePackets returns the signatures of a detached signature file. An
// element may be a packet that go-crypto does not support.
func signaturePackets(data []byte) ([]packet.Packet, error) {
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
		case len(signatures) == MaxSignatures:
			return nil, fmt.Errorf("more than %d signatures", MaxSignatures)
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

func judge(document *Document, p packet.Packet, lookup Lookup, at time.Time) Signature {
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
	result.Statement = statement(document, result.Created)
	result.State, result.Reason = evidence.UnknownKey, fmt.Sprintf("key %016X is not known for project %s", result.KeyID, document.Project)
	for _, c := range lookup(document.Project, result.KeyID) {
		for _, k := range c.keys {
			if k.public.KeyId != result.KeyID || result.State.Counts() {
				continue
			}
			if err := verify(k.public, s, document.Text); err != nil {
				if result.State == evidence.UnknownKey {
					result.State, result.Reason = evidence.Bad, fmt.Sprintf("not a signature of key %016X over this text", result.KeyID)
				}
				continue
			}
			result.Primary, result.Builder = c.fingerprint, c.Builder()
			result.State, result.Reason = k.state(s, at)
		}
	}
	return result
}

// acceptable reports why a signature proves nothing whoever made it.
func acceptable(s *packet.Signature) error {
	if s.Version != 4 && s.Version != 6 {
		return fmt.Errorf("signatures of version %d are not accepted", s.Version)
	}
	if s.SigType != packet.SigTypeBinary && s.SigType != packet.SigTypeText {
		return fmt.Errorf("a signature of type 0x%02x is not one of a document", uint8(s.SigType))
	}
	switch s.Hash {
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

func statement(d *Document, created time.Time) attestation.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "openpgp-sums\n%s\n%x\n%d\n", d.Project, sha256.Sum256(d.Text), created.Unix())
	return attestation.Digest(h.Sum(nil))
}
