package signing_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// A key is made and kept in a file; what it signs is a Sigstore bundle that names the
// builder.
func ExampleSigner_Sign() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "key.pem")
	key, err := signing.GenerateKey(signing.Ed25519)
	if err == nil {
		err = os.WriteFile(file, key, 0o600)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	signer, err := signing.LoadSigner(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer signer.Close()
	bundle, err := signer.Sign(context.Background(), &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/hello-1.0^bin", Digest: attestation.Digest{1}}},
		Builds:   []attestation.Build{{Name: "alice/hello-1.0", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	builder, _, err := signing.Peek(bundle) // what it claims; package sigstore checks
	fmt.Println(builder == signer.Public().Builder(), err)
	// Output: true <nil>
}
