package openpgp

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet/signing/keys"
)

// A Fingerprint names an OpenPGP key: 40 lower-case hexadecimal digits, or 64 of
// a version 6 key.
type Fingerprint string

// BuilderOf returns the builder whose certificate has a primary key: its
// [keys.BuilderID] is derived from "openpgp:" and the fingerprint.
func BuilderOf(primary Fingerprint) keys.BuilderID {
	return keys.NewBuilderID("openpgp:" + string(primary))
}

// A Certificate is a person's public key block, checked and reduced to what
// judging signatures needs. It is immutable. Only [ParseCertificates] makes one.
type Certificate struct {
	fingerprint Fingerprint
	raw         []byte
	keys        []key // those that may sign documents
}

// Fingerprint returns the primary key's.
func (c *Certificate) Fingerprint() Fingerprint { return c.fingerprint }

// Builder returns who signs with this certificate.
func (c *Certificate) Builder() keys.BuilderID { return BuilderOf(c.fingerprint) }

// Bytes returns the certificate's packets, which ParseCertificates reads, as they
// came: with names and addresses of people.
func (c *Certificate) Bytes() []byte { return bytes.Clone(c.raw) }

// KeyIDs returns the ids of the keys that may sign documents.
func (c *Certificate) KeyIDs() []uint64 {
	ids := make([]uint64, len(c.keys))
	for i, k := range c.keys {
		ids[i] = k.public.KeyId
	}
	return ids
}

// key is one key that its certificate lets sign documents.
type key struct {
	public  *packet.PublicKey
	bound   time.Time // when the self-signature was made that decides
	expires time.Time // zero: never
	revoked []revocation
}

type revocation struct {
	at   time.Time
	hard bool // also of what was signed before
}

// ParseCertificates reads one or more certificates, armored or binary. It fails
// if any of them is of no use.
func ParseCertificates(data []byte) ([]*Certificate, error) {
	if len(data) > MaxCertificateSize {
		return nil, fmt.Errorf("parsing OpenPGP certificate: %d bytes, at most %d are accepted", len(data), MaxCertificateSize)
	}
	if bytes.Contains(data, []byte("-----BEGIN "+pgp.PrivateKeyType+"-----")) {
		return nil, errors.New("parsing OpenPGP certificate: contains a secret key: keep it secret, and give the output of gpg --export")
	}
	packets, err := dearmor(data, pgp.PublicKeyType)
	if err != nil {
		return nil, fmt.Errorf("parsing OpenPGP certificate: %w", err)
	}
	parts, err := splitCertificates(packets)
	if err != nil {
		return nil, fmt.Errorf("parsing OpenPGP certificate: %w", err)
	}
	certificates := make([]*Certificate, len(parts))
	for i, part := range parts {
		if certificates[i], err = newCertificate(part); err != nil {
			return nil, fmt.Errorf("parsing OpenPGP certificate %d: %w", i+1, err)
		}
	}
	return certificates, nil
}

func newCertificate(raw []byte) (*Certificate, error) {
	entity, err := pgp.ReadEntity(packet.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	primary := entity.PrimaryKey
	c := &Certificate{fingerprint: Fingerprint(hex.EncodeToString(primary.Fingerprint)), raw: raw}
	self := selfSignature(entity)
	if self == nil {
		return nil, fmt.Errorf("key %s has no valid self-signature", c.fingerprint)
	}
	base := key{public: primary, bound: self.CreationTime, expires: expiry(primary, self)}
	for _, r := range entity.Revocations {
		if primary.VerifyRevocationSignature(r.Packet) == nil {
			base.revoked = append(base.revoked, newRevocation(r.Packet))
		}
	}
	if (!self.FlagsValid || self.FlagSign) && strongKey(primary) == nil {
		c.keys = append(c.keys, base)
	}
	for i := range entity.Subkeys {
		if k, ok := signingSubkey(&entity.Subkeys[i], base); ok {
			c.keys = append(c.keys, k)
		}
	}
	return c, nil
}

// selfSignature returns the latest of the primary key's signatures about itself
// and its user IDs, without those of revoked user IDs.
func selfSignature(e *pgp.Entity) *packet.Signature {
	latest, err := e.LatestValidDirectSignature(time.Time{}, nil)
	if err != nil {
		latest = nil
	}
	// All at one time say the same, or the order of their names decides, so
	// that the answer does not depend on a map's.
	names := make([]string, 0, len(e.Identities))
	for name := range e.Identities {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s, err := e.Identities[name].Verify(time.Time{}, nil)
		if err == nil && (latest == nil || s.CreationTime.After(latest.CreationTime)) {
			latest = s
		}
	}
	return latest
}

// signingSubkey returns a sub-key that its primary key lets sign, and that
// signed back: go-crypto checks the latter wherever the flag for signing is set.
func signingSubkey(s *pgp.Subkey, primary key) (key, bool) {
	binding, err := s.LatestValidBindingSignature(time.Time{}, nil)
	if err != nil || !binding.FlagsValid || !binding.FlagSign || binding.EmbeddedSignature == nil ||
		weakSelfHash(binding.EmbeddedSignature.Hash) || strongKey(s.PublicKey) != nil {
		return key{}, false
	}
	k := key{public: s.PublicKey, bound: binding.CreationTime, expires: expiry(s.PublicKey, binding), revoked: slices.Clip(primary.revoked)}
	if k.expires.IsZero() || !primary.expires.IsZero() && primary.expires.Before(k.expires) {
		k.expires = primary.expires
	}
	for _, r := range s.Revocations {
		if primary.public.VerifySubkeyRevocationSignature(r.Packet, s.PublicKey) == nil {
			k.revoked = append(k.revoked, newRevocation(r.Packet))
		}
	}
	return k, true
}

// expiry returns when a key expires by the self-signature that decides: at the
// end of the key's life or of that signature's, whichever is first.
func expiry(public *packet.PublicKey, self *packet.Signature) time.Time {
	var first time.Time
	for _, end := range []struct {
		from     time.Time
		lifetime *uint32
	}{{public.CreationTime, self.KeyLifetimeSecs}, {self.CreationTime, self.SigLifetimeSecs}} {
		if end.lifetime == nil || *end.lifetime == 0 {
			continue
		}
		t := end.from.Add(time.Duration(*end.lifetime) * time.Second)
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first
}

func newRevocation(s *packet.Signature) revocation {
	soft := s.RevocationReason != nil &&
		(*s.RevocationReason == packet.KeySuperseded || *s.RevocationReason == packet.KeyRetired || *s.RevocationReason == packet.UserIDNotValid)
	return revocation{at: s.CreationTime, hard: !soft}
}

func weakSelfHash(h crypto.Hash) bool { return h == crypto.MD5 || h == crypto.RIPEMD160 }

// strongKey reports why signatures of a key are no proof, or too costly to check.
func strongKey(public *packet.PublicKey) error {
	const shortest, longest = 2048, 8192
	switch public.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		k, ok := public.PublicKey.(*rsa.PublicKey)
		if !ok || k.N.BitLen() < shortest || k.N.BitLen() > longest {
			return fmt.Errorf("RSA keys of %d to %d bits are accepted", shortest, longest)
		}
		return nil
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		return nil
	default:
		return fmt.Errorf("public key algorithm %d is not accepted", public.PubKeyAlgo)
	}
}

// merge returns what two editions of one certificate say together: for each key
// the later self-signature, and the revocations of both.
func merge(a, b *Certificate) *Certificate {
	merged := &Certificate{fingerprint: a.fingerprint, raw: append(bytes.Clone(a.raw), b.raw...), keys: slices.Clone(a.keys)}
	for _, k := range b.keys {
		i := slices.IndexFunc(merged.keys, func(other key) bool {
			return bytes.Equal(other.public.Fingerprint, k.public.Fingerprint)
		})
		if i < 0 {
			merged.keys = append(merged.keys, k)
			continue
		}
		m := &merged.keys[i]
		if k.bound.After(m.bound) {
			m.bound, m.expires = k.bound, k.expires
		}
		m.revoked = slices.Concat(m.revoked, k.revoked)
	}
	slices.SortFunc(merged.keys, func(x, y key) int { return cmp.Compare(x.public.KeyId, y.public.KeyId) })
	return merged
}
