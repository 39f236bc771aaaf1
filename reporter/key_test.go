package reporter_test

import (
	"testing"

	"repronet.dev/signing"
)

func mustKey(t *testing.T) []byte {
	t.Helper()
	pem, err := signing.GenerateKey(signing.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}
