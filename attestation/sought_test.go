package attestation_test

import (
	"strings"
	"testing"

	"repronet.dev/attestation"
)

// TestSeek: what a key can mean, in which ecosystems.
func TestSeek(t *testing.T) {
	const path = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-hello-2.12.1"
	for _, test := range []struct {
		key             string
		digest, purl    bool
		outputs, builds int
	}{
		{strings.Repeat("Ab", 32), true, false, 0, 0},
		{"sha256:" + strings.Repeat("1", 52), true, false, 0, 0},
		{path, false, false, 1, 0},
		{path + ".drv", false, false, 0, 1},
		{path + ".drv^man", false, false, 1, 0},
		{strings.Replace(path, "/nix/", "/gnu/", 1), false, false, 1, 0},
		{"bash@5.2.15-2/amd64", false, false, 4, 4}, // debian, arch, go, release; generic wants an operator
		{"alice/hello-1.0", false, false, 5, 5},
		{"alice/hello-1.0^bin", false, false, 5, 1}, // a release may have a file of that name
		{"bitcoin-core/Bitcoin Core (x64).msi", false, false, 1, 1},
		{"pkg:deb/debian/bash@5.2.15-2?arch=amd64", false, true, 0, 1},
	} {
		s, err := attestation.Seek(test.key)
		if err != nil || (s.Digest != nil) != test.digest || s.PURL != test.purl || len(s.Outputs) != test.outputs || len(s.Builds) != test.builds {
			t.Errorf("%s: %+v, %v", test.key, s, err)
		}
	}
	for key, want := range map[string]string{
		"": "neither a digest nor a name", "<b>/x": "allowed are", path[11:43]: "whole path", path + "^out": "no path of a store", "/nix/store/x": "no path of a store",
		"pkg:nix/hello@1": "does not name one build", "pkg:npm/x": "no ecosystem", strings.Repeat("x/", 400): "neither", "a\x1b[2J/b": `\x1b`, "/nix/store/\u202e": "no path",
	} {
		if s, err := attestation.Seek(key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want an error with %q", key, s, err, want)
		}
	}
}

// FuzzSeek: what a key means can be called so.
func FuzzSeek(f *testing.F) {
	f.Add("alice/hello-1.0^bin")
	f.Add("pkg:golang/example.org/a@v1.0.0")
	f.Fuzz(func(t *testing.T, key string) {
		s, err := attestation.Seek(key)
		if err == nil && s.Digest == nil && len(s.Outputs)+len(s.Builds) == 0 {
			t.Errorf("%q means nothing, and is accepted", key)
		}
		for _, name := range s.Outputs {
			if err := attestation.ValidateOutput(name.Ecosystem, name.Name); err != nil || name.ID != attestation.NewOutputID(name.Ecosystem, key) {
				t.Errorf("%q: %v", key, err)
			}
		}
	})
}
