package signing_test

import (
	"strings"
	"testing"

	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// TestHintedBuilder: the guess is right for bundles as they are written, and none for others.
func TestHintedBuilder(t *testing.T) {
	signer := signingtest.New(t)
	bundle, err := signer.SignPayload(t.Context(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	hint := signer.Public().Hint()
	for _, test := range []struct {
		text string
		want signing.BuilderID
	}{
		{string(bundle), signer.Public().Builder()},
		{`{"hint" :  "` + hint + `"}`, signer.Public().Builder()},
		{`{"hint":"` + hint, ""},
		{`{"hint":"` + hint[1:] + `x"}`, ""},
		{`{"hint":"` + strings.Repeat("=", 44) + `"}`, ""},
		{`{"hint":`, ""},
		{`{}`, ""},
		{"", ""},
	} {
		if got := signing.HintedBuilder([]byte(test.text)); got != test.want {
			t.Errorf("%.80q: %q, want %q", test.text, got, test.want)
		}
	}
}
