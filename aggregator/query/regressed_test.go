package query_test

import (
	"testing"

	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
)

// TestRegressed: a regression is a later version of a package that does not reproduce any
// more. In which order claims on one output came is none.
func TestRegressed(t *testing.T) {
	s := newScript(t)
	for _, label := range []string{"ada", "bob", "cyd"} {
		s.enrol(label, enrolment.Counted)
	}
	publish := func(revision string, versions map[string]string) {
		var members []pkgset.Member
		for attribute, version := range versions {
			members = append(members, pkgset.Member{
				Key: dashboardtest.Out(attribute+"-"+version, ""), Build: dashboardtest.DRV(attribute + "-" + version), Output: "out",
				Attribute: attribute, Version: version, System: "x86_64-linux",
			})
		}
		e := pkgset.Entry{
			Name: "base", Revision: revision, Ecosystem: "nix", Members: pkgset.Count(members), SHA256: s.log.attach(must(pkgset.Encode("nix", members))),
		}
		s.add(ledger.PackageSet, must(e.Encode()))
	}
	agree := func(name string) { s.claim("ada", name, "1"); s.claim("bob", name, "1") }
	differ := func(name string) { s.claim("ada", name, "1"); s.claim("bob", name, "2") }
	publish("1", map[string]string{"fell": "1", "stays": "1", "bad": "1", "fresh": "1"})
	agree("fell-1")
	differ("bad-1")
	publish("2", map[string]string{"fell": "2", "stays": "1", "bad": "2", "fresh": "1"})
	differ("fell-2")
	differ("bad-2")
	agree("stays-1")
	s.claim("cyd", "stays-1", "3") // dissent came later, to the same version
	differ("fresh-1")

	page, err := s.open().Divergences(t.Context(), dashboard.DivergenceQuery{Set: "base", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Divergences) != 4 {
		t.Fatalf("%d divergences", len(page.Divergences))
	}
	for _, d := range page.Divergences {
		want := ""
		if d.Key == dashboardtest.Out("fell-2", "") {
			want = dashboardtest.Out("fell-1", "")
		}
		if d.Regressed != want {
			t.Errorf("%s regressed from %q, want %q", d.Key, d.Regressed, want)
		}
	}
}
