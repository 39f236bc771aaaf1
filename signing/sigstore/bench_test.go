package sigstore_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// BenchmarkOpen prints what Open does a second beside what the bare signature
// check allows.
func BenchmarkOpen(b *testing.B) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := signing.NewSigner(private)
	if err != nil {
		b.Fatal(err)
	}
	key := signing.Key{PublicKey: signer.Public()}
	lookup := func(signing.BuilderID) (signing.Key, error) { return key, nil }
	for _, n := range []int{1, 100, 1000} {
		payload, err := statementOf(n).Encode()
		if err != nil {
			b.Fatal(err)
		}
		bundle, err := signer.SignPayload(b.Context(), payload)
		if err != nil {
			b.Fatal(err)
		}
		message := []byte(fmt.Sprintf("DSSEv1 %d %s %d %s", len(attestation.PayloadType), attestation.PayloadType, len(payload), payload))
		signature := ed25519.Sign(private, message)
		b.Run(fmt.Sprintf("outputs=%d/signature-alone", n), func(b *testing.B) {
			for b.Loop() {
				if !ed25519.Verify(public, message, signature) {
					b.Fatal("bad signature")
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "outputs/s")
		})
		b.Run(fmt.Sprintf("outputs=%d/open", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sigstore.Open(bundle, lookup, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "outputs/s")
		})
	}
}
