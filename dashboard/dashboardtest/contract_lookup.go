package dashboardtest

import (
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/ecosystem"
)

// contractManyKeys looks many keys up at once: each has an answer in its place.
func contractManyKeys(t *testing.T, source dashboard.Source) {
	of := func(key string, verdict api.Verdict, operators int, factions ...api.Faction) api.FoundOutput {
		return api.FoundOutput{Key: key, Ecosystem: "nix", Verdict: verdict, Operators: operators, Factions: append([]api.Faction{}, factions...)}
	}
	faction := func(digest string, operators ...string) api.Faction {
		return api.Faction{Digest: Digest(digest).String(), Operators: operators}
	}
	wholeAgreed := of(agreed(), api.Reproduced, 2, faction("same", "ash", "beech"))
	wholeOutlier := of(outlier(), api.Diverged, 3, faction("most", "ash", "beech"), faction("mine", "chestnut"))
	wholeOutlier.Shape = api.Outlier
	wholeTaken := of(taken(), api.Single, 1, faction("good", "ash"))
	known := func(key string, kind api.KeyKind, outputs ...api.FoundOutput) api.Lookup {
		return api.Lookup{Key: key, Kind: kind, State: api.KeyKnown, Outputs: outputs}
	}
	unknown := func(key string, kind api.KeyKind) api.Lookup {
		return api.Lookup{Key: key, Kind: kind, State: api.KeyUnknown, Outputs: []api.FoundOutput{}}
	}
	mine := Digest("mine")
	want := []api.Lookup{
		known(agreed(), api.OutputKey, wholeAgreed),
		known(mine.Hex(), api.DigestKey, wholeOutlier),
		known(strings.ToUpper(mine.Hex()), api.DigestKey, wholeOutlier),
		known(" "+mine.String()+"\t", api.DigestKey, wholeOutlier),
		known(DRV("agreed"), api.BuildKey, wholeAgreed),
		known(agreed(), api.OutputKey, wholeAgreed),              // once more
		known(Digest("bad").String(), api.DigestKey, wholeTaken), // withdrawn: claimed once
		known(openOnly(), api.OutputKey, of(openOnly(), api.Unbuilt, 0)),
		known(Out("never", ""), api.OutputKey, of(Out("never", ""), api.Unbuilt, 0)), // in a set
		unknown(Out("absent", ""), api.OutputKey),
		unknown(DRV("absent"), api.BuildKey),
		unknown(Digest("absent").String(), api.DigestKey),
		unknown("pkg:deb/debian/bash@5.2.15-2?arch=amd64", api.PURLKey),
	}
	for _, key := range []string{
		"", " ", "<script>alert(1)</script>", "\x1b[2J", "a\nb", "\u202e" + agreed(), strings.Repeat("x", api.MaxLookupKey),
		ecosystem.StoreHash(agreed()), "/nix/store/short-hello", "/etc/passwd", "../../etc/passwd", "pkg:npm/left-pad@1", "pkg:nix/hello@2.12.1", agreed() + "^out",
	} {
		want = append(want, api.Lookup{Key: key, State: api.KeyInvalid, Outputs: []api.FoundOutput{}})
	}
	keys := make([]string, len(want))
	for i := range want {
		keys[i] = want[i].Key
	}
	got, err := source.LookUp(t.Context(), keys)
	for i := range got {
		if got[i].State == api.KeyInvalid && got[i].Reason == "" {
			t.Errorf("%q is invalid for no reason", got[i].Key)
		}
		got[i].Reason = ""
	}
	equal(t, "keys", got, want, err)
	for _, prefix := range []attestation.Prefix{
		attestation.NewOutputID("nix", outlier()).Prefix(attestation.MaxPrefix), attestation.NewOutputID("nix", outlier()).Prefix(attestation.MinPrefix),
	} {
		found, err := source.Bucket(t.Context(), prefix)
		equal(t, "bucket "+string(prefix), found, []api.FoundOutput{wholeOutlier}, err)
	}
	empty, err := source.Bucket(t.Context(), "00000")
	equal(t, "an empty bucket", empty, []api.FoundOutput{}, err)
	none, err := source.LookUp(t.Context(), nil)
	equal(t, "no keys", none, []api.Lookup{}, err)
}
