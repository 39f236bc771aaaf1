package openpgp

import (
	"crypto/dsa" //nolint:staticcheck // old keys are recognised, and nothing is believed by them
	"crypto/rsa"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"repronet.dev/evidence"
)

// useless is a key that signs for its certificate, and whose signatures never
// count: too weak, or not made for signing. It is known, so that what it signed is
// shown as its owner's.
type useless struct {
	public *packet.PublicKey
	state  evidence.State // of what it signed
	reason string         // as the end of a sentence about the key
}

// signers returns the ids of all keys by which a signature may be somebody's.
func (c *Certificate) signers() []uint64 {
	ids := c.KeyIDs()
	for _, u := range c.useless {
		ids = append(ids, u.public.KeyId)
	}
	return ids
}

// NeverCounts says why nothing that the certificate's owner signs can count, ever;
// it is empty where something can. Keys that have expired are not among the
// reasons: what they signed before does count.
func (c *Certificate) NeverCounts() string {
	revoked := ""
	for _, k := range c.keys {
		if !k.revokedForGood() {
			return ""
		}
		revoked = fmt.Sprintf("key %016X was revoked as compromised, or without a reason", k.public.KeyId)
	}
	if revoked != "" {
		return revoked
	}
	for _, u := range c.useless {
		return fmt.Sprintf("key %016X: %s", u.public.KeyId, u.reason)
	}
	return "it has no key that signs documents"
}

func (k *key) revokedForGood() bool {
	for _, r := range k.revoked {
		if r.hard {
			return true
		}
	}
	return false
}

// checkable reports whether checking a signature of the key is possible, and costs
// little: keys come from anybody.
func (u *useless) checkable() bool {
	const shortest, longest = 1024, 8192
	switch k := u.public.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= shortest && k.N.BitLen() <= longest
	case *dsa.PublicKey:
		return k.P.BitLen() <= longest/2 && k.Q.BitLen() <= 512 && k.Q.Sign() > 0 && k.P.Sign() > 0
	default:
		return u.state != evidence.Weak
	}
}

// judge judges a signature by keys whose signatures never count. It leaves a result
// alone that says more.
func (c *Certificate) judge(text []byte, s *packet.Signature, result *Signature) {
	for _, u := range c.useless {
		if u.public.KeyId != result.KeyID || result.State > evidence.UnknownKey {
			continue
		}
		reason := fmt.Sprintf("key %016X is known and does not count: %s", result.KeyID, u.reason)
		switch {
		case !u.checkable():
			result.State, result.Reason = u.state, reason
		case verify(u.public, s, text) == nil:
			result.State, result.Reason = u.state, reason
			result.Primary, result.Builder = c.fingerprint, c.Builder()
			return
		case result.Builder == "" && result.State == evidence.UnknownKey:
			result.State, result.Reason = evidence.Bad, notOver(result.KeyID)
		}
	}
}
