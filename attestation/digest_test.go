package attestation_test

import (
	"strings"
	"testing"

	"repronet.dev/attestation"
)

// TestParseAnyDigest has one digest as sha256sum, nix-hash, nix path-info, narinfo
// files and SRI write it.
func TestParseAnyDigest(t *testing.T) {
	const (
		hex    = "7f1d5c7f87a3ca5c97af7e7e5cf3218d3a02839f1f0ffdb1fbaa2c7b2cdeeac2"
		nix32  = "1hpavqn7nb5azfqzs3qzky1h4fld47rmqzkymybmrjm3hxzmq7bz" // nix-hash --to-base32 --type sha256
		base64 = "fx1cf4ejylyXr35+XPMhjToCg58fD/2x+6oseyze6sI="
	)
	want, err := attestation.ParseDigest(hex)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{hex, "sha256:" + hex, strings.ToUpper(hex), "sha256:" + strings.ToUpper(hex), nix32, "sha256:" + nix32, "sha256-" + base64, "sha256:" + base64, base64} {
		if got, err := attestation.ParseAnyDigest(s); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "sha256:", "sha256-", "sha256-" + hex, "sha256-" + nix32, "sha512:" + hex, hex[1:], hex + "0", " " + hex, hex + "\n", nix32[1:], strings.Repeat("e", 52), strings.Repeat("z", 52),
		"sha256-" + base64[:43], "sha256-" + base64[:43] + "\n", "sha256-" + base64[:42] + "J=", strings.Repeat("0", 64), "sha256:sha256:" + hex, strings.Repeat("g", 64), "md5-" + base64,
	} {
		if got, err := attestation.ParseAnyDigest(s); err == nil {
			t.Errorf("%q: %s", s, got)
		}
	}
}
