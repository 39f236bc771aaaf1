package narinfo

import (
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/evidence"
	"repronet.dev/signing"
)

// A Lookup returns the keys that are known by a name, or none. It may be called
// from several goroutines.
type Lookup func(name string) []signing.Key

// ValidateKeyName reports whether name can name a cache's key.
func ValidateKeyName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("cache key name %.40q is not 1 to 128 printable characters without a colon", name)
	}
	return nil
}

// ParseKey reads a cache's public key as Nix writes it in trusted-public-keys,
// "name:base64".
func ParseKey(text string) (name string, key *signing.PublicKey, err error) {
	name, data, err := splitNamed(text, ed25519.PublicKeySize)
	if err != nil {
		return "", nil, fmt.Errorf("parsing cache key %.40q: %w", text, err)
	}
	key, err = signing.NewPublicKey(ed25519.PublicKey(data))
	if err != nil {
		return "", nil, fmt.Errorf("parsing cache key %.40q: %w", text, err)
	}
	return name, key, nil
}

// A Signature is what became of one signature of a narinfo.
type Signature struct {
	State   evidence.State
	Reason  string            // why it does not count; empty if it does
	Name    string            // of the key, as the narinfo says: a hint
	Builder signing.BuilderID // empty in the states Bad and UnknownKey
}

// Verified is a narinfo with all its signatures judged. Whose of them counts for a
// ledger is package reading's subject. Only [Open] makes one.
type Verified struct {
	info       *Info
	body       []byte
	signatures []Signature
}

// Output returns the output key: the store path.
func (v *Verified) Output() string { return v.info.StorePath }

// Digest returns the NAR hash.
func (v *Verified) Digest() attestation.Digest { return v.info.NarHash }

// Info returns the content. Callers must not change it.
func (v *Verified) Info() *Info { return v.info }

// Body returns the evidence, byte for byte as it came.
func (v *Verified) Body() []byte { return v.body }

// Signatures returns all signatures in the order of the file.
func (v *Verified) Signatures() []Signature { return v.signatures }

// Open reads a narinfo and judges its signatures at the time at, when it was
// received. An error wraps [ErrMalformed]: the bytes are no evidence. Everything
// else is evidence, in the states that the result's signatures have.
func Open(body []byte, lookup Lookup, at time.Time) (*Verified, error) {
	info, err := Parse(body)
	if err != nil {
		return nil, err
	}
	v := &Verified{info: info, body: body}
	fingerprint := info.Fingerprint()
	for _, s := range info.signatures {
		v.signatures = append(v.signatures, judge(fingerprint, s, lookup, at))
	}
	return v, nil
}

func judge(fingerprint []byte, s namedSignature, lookup Lookup, at time.Time) Signature {
	result := Signature{Name: s.name, State: evidence.UnknownKey, Reason: fmt.Sprintf("no key is known by the name %q", s.name)}
	for _, k := range lookup(s.name) {
		public, err := x509.ParsePKIXPublicKey(k.DER())
		if err != nil {
			continue
		}
		key, ok := public.(ed25519.PublicKey)
		if !ok {
			continue
		}
		if !ed25519.Verify(key, fingerprint, s.signature) {
			if result.State == evidence.UnknownKey {
				result.State, result.Reason = evidence.Bad, fmt.Sprintf("not a signature of a key known by the name %q over this path, hash, size and references", s.name)
			}
			continue
		}
		result.Builder = k.Builder()
		if err := k.CheckValid(at); err != nil {
			result.State, result.Reason = evidence.OutsideValidity, err.Error()
			continue
		}
		result.State, result.Reason = evidence.Valid, ""
		return result
	}
	return result
}
