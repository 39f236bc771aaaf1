package signing

import "crypto/sha256"

// NewBuilderID names a builder whose key has no PKIX form: identity takes the
// key's place in the definition of a [BuilderID]. It begins with what kind of
// identity it is and a colon, so that it is no DER.
func NewBuilderID(identity string) BuilderID { return builderID(sha256.Sum256([]byte(identity))) }
