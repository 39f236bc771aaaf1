package verify_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/enrolment"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore/sigstoretest"
	"repronet.dev/verify"
)

func TestKeylessPins(t *testing.T) {
	deployment := sigstoretest.New(t)
	rule := signing.IdentityRule{Issuer: "https://token.example.org", Subject: "^https://ci.example/wf@[a-z]+$", Repository: "https://github.com/org/repo"}
	pin := func() verify.Builder {
		return verify.Builder{
			ID: enrolment.KeylessBuilder(rule), Operator: "org",
			Keyless: &verify.Keyless{IdentityRule: rule, TrustedRoot: deployment.TrustedRoot(t)},
		}
	}
	path := filepath.Join(t.TempDir(), "pins.json")
	want := &verify.Pins{Builders: []verify.Builder{pin()}}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := verify.LoadPins(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Builders[0].Keyless, got.Builders[0].Keyless); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
	for says, change := range map[string]func(*verify.Builder){
		"the identity is that of builder": func(b *verify.Builder) { b.Keyless.Subject = "^.*$" },
		"parsing trusted root":            func(b *verify.Builder) { b.Keyless.TrustedRoot = []byte("{}") },
		"begins with":                     func(b *verify.Builder) { b.Keyless.Subject = "^https://ci.example/wf@" },
		"not exactly one of":              func(b *verify.Builder) { b.PublicKey = []byte{1} },
	} {
		b := pin()
		change(&b)
		if err := (&verify.Pins{Builders: []verify.Builder{b}}).Save(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	var none *verify.Keyless
	renewed := pin().Keyless
	renewed.TrustedRoot = sigstoretest.New(t).TrustedRoot(t)
	if !none.Same(nil) || none.Same(renewed) || renewed.Same(none) || pin().Keyless.Same(renewed) || !got.Builders[0].Keyless.Same(want.Builders[0].Keyless) {
		t.Error("Same is wrong")
	}
}
