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

	"repronet.dev/evidence"
	"repronet.dev/signing"
)

// A Fingerprint names an OpenPGP key: 40 lower-case hexadecimal digits, or 64 of
// a version 6 key.
type Fingerprint string

// BuilderOf returns the builder whose certificate has a primary key: its
// [signing.BuilderID] is derived from "openpgp:" and the fingerprint.
func BuilderOf(primary Fingerprint) signing.BuilderID {
	return signing.NewBuilderID("openpgp:" + string(primary))
}

// A Certificate is a person's public key block, checked and reduced to what
// judging signatures needs. It is immutable. Only [ParseCertificates] makes one.
type Certificate struct {
	fingerprint Fingerprint
	raw         []byte
	keys        []key     // those that may sign documents
	useless     []useless // those that sign, and whose signatures never count
	names       []string  // user ids, sorted
}

// Fingerprint returns the primary key's.
func (c *Certificate) Fingerprint() Fingerprint { return c.fingerprint }

// Builder returns who signs with this certificate.
func (c *Certificate) Builder() signing.BuilderID { return BuilderOf(c.fingerprint) }

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

// UserIDs returns what the certificate's owner is called in it, sorted: names and
// addresses of people, which belong into no entry and no page.
func (c *Certificate) UserIDs() []string { return slices.Clone(c.names) }

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
// if any of them is none that could be judged by.
func ParseCertificates(data []byte) ([]*Certificate, error) {
	certificates, failures, err := ReadCertificates(data)
	if err != nil {
		return nil, err
	}
	if len(failures) > 0 {
		return nil, failures[0]
	}
	return certificates, nil
}

// ReadCertificates is [ParseCertificates] of a file in which some certificates may
// be none that could be judged by: why not are the failures, and the others stand.
// The error is about the whole file.
func ReadCertificates(data []byte) (certificates []*Certificate, failures []error, err error) {
	if len(data) > MaxCertificateSize {
		return nil, nil, fmt.Errorf("parsing OpenPGP certificate: %d bytes, at most %d are accepted", len(data), MaxCertificateSize)
	}
	if bytes.Contains(data, []byte("-----BEGIN "+pgp.PrivateKeyType+"-----")) {
		return nil, nil, errors.New("parsing OpenPGP certificate: contains a secret key: keep it secret, and give the output of gpg --export")
	}
	packets, err := dearmor(data, pgp.PublicKeyType)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing OpenPGP certificate: %w", err)
	}
	parts, err := splitCertificates(packets)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing OpenPGP certificate: %w", err)
	}
	for i, part := range parts {
		c, err := newCertificate(part)
		if err != nil {
			failures = append(failures, fmt.Errorf("parsing OpenPGP certificate %d: %w", i+1, err))
			continue
		}
		certificates = append(certificates, c)
	}
	return certificates, failures, nil
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
	c.add(base, !self.FlagsValid || self.FlagSign)
	for i := range entity.Subkeys {
		if k, ok := signingSubkey(&entity.Subkeys[i], base); ok {
			c.add(k, true)
		}
	}
	for name := range entity.Identities {
		c.names = append(c.names, name)
	}
	slices.Sort(c.names)
	return c, nil
}

// add takes a key in, which its owner made for signing or not.
func (c *Certificate) add(k key, signs bool) {
	weak := strongKey(k.public)
	switch {
	case weak != nil:
		c.useless = append(c.useless, useless{k.public, evidence.Weak, weak.Error()})
	case !signs:
		c.useless = append(c.useless, useless{k.public, evidence.OutsideValidity, "its owner did not make it for signing documents"})
	default:
		c.keys = append(c.keys, k)
	}
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
		weakSelfHash(binding.EmbeddedSignature.Hash) {
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
		switch {
		case !ok:
			return errors.New("it is no RSA key")
		case k.N.BitLen() < shortest || k.N.BitLen() > longest:
			return fmt.Errorf("it is an RSA key of %d bits, and such of %d to %d count", k.N.BitLen(), shortest, longest)
		}
		return nil
	case packet.PubKeyAlgoDSA:
		return errors.New("it is a DSA key, and none of those counts")
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		return nil
	default:
		return fmt.Errorf("its public key algorithm (%d) does not count", public.PubKeyAlgo)
	}
}

// merge returns what two editions of one certificate say together: for each key
// the later self-signature, and the revocations of both.
func merge(a, b *Certificate) *Certificate {
	merged := &Certificate{
		fingerprint: a.fingerprint, raw: append(bytes.Clone(a.raw), b.raw...), keys: slices.Clone(a.keys),
		useless: slices.Concat(a.useless, b.useless), names: slices.Concat(a.names, b.names),
	}
	slices.Sort(merged.names)
	merged.names = slices.Compact(merged.names)
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
