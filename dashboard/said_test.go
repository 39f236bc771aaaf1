package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/divergence"
)

// TestLettersOfListAndPage: a digest has the letter on a page that it has in a list of
// divergences, where the factions come from the aggregator.
func TestLettersOfListAndPage(t *testing.T) {
	claims := []Claim{
		claim("late", "f", true), claim("a", "c", true), claim("b", "a", true), claim("d", "b", true), claim("e", "b", true), claim("o", "0", false),
	}
	page := map[string]string{}
	for _, f := range factionsOf(claims) {
		page[f.Mark.Digest] = f.Mark.Letter
	}
	byDigest := []string{"sha256:a", "sha256:b", "sha256:c", "sha256:f"} // the order of an output's state
	var factions []Faction
	for _, f := range divergence.Factions(func(yield func(string, string) bool) {
		for _, digest := range byDigest {
			for _, c := range claims {
				if c.Counts && c.Digest == digest && !yield(digest, c.Operator) {
					return
				}
			}
		}
	}) {
		factions = append(factions, Faction{Digest: f.Digest, Operators: f.Holders})
	}
	row := newDivergenceRow(Divergence{Factions: factions}, time.Now())
	for _, f := range row.Factions {
		if f.Mark.Letter != page[f.Mark.Digest] {
			t.Errorf("%s is %s in the list, and %s on the page", f.Mark.Digest, f.Mark.Letter, page[f.Mark.Digest])
		}
	}
}

// TestMoreDigests: a list says how many digests it leaves out.
func TestMoreDigests(t *testing.T) {
	var d Divergence
	for i := range len(markSymbols) + 3 {
		d.Factions = append(d.Factions, Faction{Digest: strings.Repeat("a", i+1), Operators: []string{"x"}})
	}
	if row := newDivergenceRow(d, time.Now()); len(row.Factions) != len(markSymbols) || row.More != 3 {
		t.Errorf("%d digests, and %d more", len(row.Factions), row.More)
	}
}

// TestOwnAgreement: who counts for a digest is not listed again as one who does not.
func TestOwnAgreement(t *testing.T) {
	early := claim("a", "x", false)
	early.Kind, early.Status, early.Index = "signed-sums", api.StandingSuperseded, 1
	latest := claim("a", "x", true)
	latest.Kind, latest.Index = "signed-sums", 2
	former := claim("a", "x", false)
	former.Builder = "another key"
	factions := factionsOf([]Claim{early, former, latest, claim("o", "x", false)})
	if len(factions) != 1 || len(factions[0].Builders) != 1 || len(factions[0].Others) != 1 || factions[0].Others[0].Operator != "o" {
		t.Errorf("%+v", factions)
	}
}

// TestRepeatsAreOneLine: documents of a builder that say the same again are one line of
// evidence, with the newest one's entry.
func TestRepeatsAreOneLine(t *testing.T) {
	o := &Output{}
	for i := range 4 {
		c := claim("a", "x", i == 3)
		c.Kind, c.Index = "signed-sums", uint64(i)
		if i < 3 {
			c.Status = api.StandingSuperseded
		}
		o.Claims = append(o.Claims, c)
	}
	taken := claim("b", "y", false)
	taken.Index, taken.Status, taken.Reason = 4, api.StandingWithdrawn, "a bad disk"
	o.Claims = append(o.Claims, taken)
	view := newOutputView(o, factionsOf(o.Claims), 10, 5, time.Now())
	type line struct {
		index   uint64
		repeats int
		reason  string
	}
	var got []line
	for _, c := range view.Claims {
		got = append(got, line{c.Index, c.Repeats, c.Reason})
	}
	if diff := cmp.Diff([]line{{4, 0, "a bad disk"}, {3, 3, ""}}, got, cmp.AllowUnexported(line{})); diff != "" || view.MoreClaims != 0 {
		t.Errorf("%d more (-want +got):\n%s", view.MoreClaims, diff)
	}
}

// TestRecorded: that no trait separates groups can only be said where all recorded some.
func TestRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		claims []Claim
		want   bool
	}{
		"all":               {[]Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "y", true, "fs", "ext4")}, true},
		"none":              {[]Claim{claim("a", "x", true), claim("b", "y", true)}, false},
		"one of two":        {[]Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "y", true)}, false},
		"not by who counts": {[]Claim{claim("a", "x", true, "fs", "ext4"), claim("b", "y", true), claim("o", "y", false, "fs", "zfs")}, false},
	} {
		if got := recorded(c.claims, factionsOf(c.claims)); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestKindsOfEvidence(t *testing.T) {
	of := func(kinds ...string) string {
		o := Output{}
		for _, kind := range kinds {
			o.Claims = append(o.Claims, Claim{Kind: kind})
		}
		return kindsOfEvidence([]Output{o})
	}
	if got := of("signed-sums", "openpgp-sums"); strings.Contains(got, "Sigstore") || !strings.Contains(got, "gpg") {
		t.Errorf("documents are %q", got)
	}
	if got := of("", "narinfo"); !strings.Contains(got, "Sigstore") || !strings.Contains(got, "narinfo") || !strings.Contains(got, ", or ") {
		t.Errorf("both are %q", got)
	}
}
