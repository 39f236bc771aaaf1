package reporter_test

import (
	"testing"

	"repronet/signing/keys"
)

func mustKey(t *testing.T) []byte {
	t.Helper()
	pem, err := keys.GenerateKey(keys.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}
