package outputmap

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

const (
	pathA = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-a-1"
	pathB = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-b-1"
)

// bundle returns a signed attestation about both paths.
func bundle(t *testing.T, of attestation.PredicateType) []byte {
	t.Helper()
	s := &attestation.Statement{Type: of, Ecosystem: "nix", DigestKind: attestation.NAR}
	for i, path := range []string{pathB, pathA} {
		build := attestation.Build{
			Name: path + ".drv", Outputs: []int{i}, Finished: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Occasion: attestation.OccasionBuild,
		}
		if of == attestation.BuildFailed {
			path, build.Failure = path+".drv", "exit status 1"
		}
		s.Subjects = append(s.Subjects, attestation.Subject{Name: path, Digest: attestation.Digest{1}})
		if of != attestation.Withdraw {
			s.Builds = append(s.Builds, build)
		}
	}
	signer, err := signing.NewSigner(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := signer.Sign(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sums(t *testing.T) []byte {
	t.Helper()
	line := func(digit, name string) string { return strings.Repeat(digit, 64) + "  " + name + "\n" }
	d := &openpgp.Document{
		Project:   "demo",
		Text:      []byte(line("1", "a.tar") + line("2", "b.tar") + line("3", "b.tar") + line("4", "../c.tar") + line("1", "a.tar")),
		Signature: []byte("nobody looks at it"),
	}
	body, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestKeys(t *testing.T) {
	both := []attestation.OutputID{attestation.NewOutputID("nix", pathA), attestation.NewOutputID("nix", pathB)}
	roster := []attestation.OutputID{RosterKey()}
	rebuild := bundle(t, attestation.Rebuild)
	for _, tc := range []struct {
		name string
		kind ledger.Kind
		body []byte
		want []attestation.OutputID
		err  string
	}{
		{name: "rebuild", kind: ledger.Attestation, body: rebuild, want: both},
		{name: "withdrawal", kind: ledger.Attestation, body: bundle(t, attestation.Withdraw), want: both},
		{name: "failure", kind: ledger.Attestation, body: bundle(t, attestation.BuildFailed)},
		{name: "signature that does not verify", kind: ledger.Attestation, body: breakSignature(t, rebuild), want: both},
		{name: "no bundle", kind: ledger.Attestation, body: []byte("{}")},
		{name: "checksum document", kind: ledger.OpenPGPSums, body: sums(t), want: []attestation.OutputID{
			attestation.NewOutputID("release", "demo/a.tar"), attestation.NewOutputID("release", "demo/b.tar"),
		}},
		{name: "no checksum document", kind: ledger.OpenPGPSums, body: []byte("{}")},
		{
			name: "narinfo", kind: ledger.Narinfo, want: both[:1],
			body: fmt.Appendf(nil, "StorePath: %s\nNarHash: sha256:%s\nNarSize: 1\n", pathA, strings.Repeat("1", 64)),
		},
		{name: "no narinfo", kind: ledger.Narinfo, body: []byte("StorePath")},
		{name: "enrolment", kind: ledger.Enrolment, body: []byte("whatever it says"), want: roster},
		{name: "revocation", kind: ledger.Revocation, want: roster},
		{name: "erasure", kind: ledger.Erased, want: roster},
		{name: "package set", kind: ledger.PackageSet},
		{name: "map root", kind: ledger.MapRoot},
		{name: "rules that are known", kind: ledger.Rules, body: []byte(`{"version":1}`), want: roster},
		{name: "rules of the future", kind: ledger.Rules, body: []byte(`{"version":3}`), err: "undecided from ledger index 7 on: version 3 of the rules"},
		{name: "rules that cannot be read", kind: ledger.Rules, body: []byte(`{"version":1,"more":1}`), err: "undecided from ledger index 7"},
		{name: "kind of the future", kind: "next", err: "undecided from ledger index 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			slices.SortFunc(tc.want, compareKeys)
			got, err := Keys(7, &ledger.Entry{Kind: tc.kind, Body: tc.body})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// breakSignature changes a character within a bundle's signature.
func breakSignature(t *testing.T, bundle []byte) []byte {
	t.Helper()
	before, after, found := strings.Cut(string(bundle), `"sig":"`)
	if !found {
		t.Fatalf("no signature in %s", bundle)
	}
	other := "A"
	if after[0] == 'A' {
		other = "B"
	}
	return []byte(before + `"sig":"` + other + after[1:])
}
