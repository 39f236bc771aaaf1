package attestation_test

import (
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// A statement is written, and read again: what was not written by Encode, or could not
// have been, is refused.
func ExampleParse() {
	build := "alice/hello-1.0"
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: ecosystem.Of("generic").Key(build, "bin"), Digest: attestation.Digest{0xc0, 0xff, 0xee}}},
		Builds: []attestation.Build{{
			Name: build, Outputs: []int{0}, Occasion: attestation.OccasionBuild,
			Finished: time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC),
		}},
	}
	payload, err := statement.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}
	parsed, err := attestation.Parse(payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, subject := range parsed.Subjects {
		fmt.Println(subject.Name, subject.Digest.Hex()[:6])
	}
	_, err = attestation.Parse([]byte(`{"_type": "https://in-toto.io/Statement/v0.1"}`))
	fmt.Println(err != nil)
	// Output:
	// alice/hello-1.0^bin c0ffee
	// true
}
