package signing

import (
	"fmt"
	"time"
)

// A Key is a builder's key with the time in which it may sign.
type Key struct {
	*PublicKey
	NotBefore, NotAfter time.Time // zero: unbounded
}

// CheckValid reports whether the key may sign at t.
func (k Key) CheckValid(t time.Time) error {
	if !k.NotBefore.IsZero() && t.Before(k.NotBefore) {
		return fmt.Errorf("%w: not before %s", ErrKeyNotValid, k.NotBefore.UTC().Format(time.RFC3339))
	}
	if !k.NotAfter.IsZero() && t.After(k.NotAfter) {
		return fmt.Errorf("%w: expired on %s", ErrKeyNotValid, k.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
