package query_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/query"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/signing"
)

// suggested lists suggestions as "reason name dependents".
func suggested(t *testing.T, q *query.Query, ask api.SuggestionQuery) (list []string, answer *api.Suggestions) {
	t.Helper()
	answer, err := q.Suggestions(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range answer.Suggestions {
		list = append(list, fmt.Sprintf("%s %s %d", s.Reason, strings.TrimSuffix(s.Build[len("/nix/store/")+33:], ".drv"), s.Dependents))
		if (s.Reason == api.Confirm) != (s.Since != nil) {
			t.Errorf("%s since %v", s.Build, s.Since)
		}
	}
	return list, answer
}

func TestSuggestions(t *testing.T) {
	s := newScript(t)
	for _, label := range []string{"ada", "bob", "cyd"} {
		s.enrol(label, enrolment.Counted)
	}
	out := func(name string) string { return dashboardtest.Out(name, "") }
	member := func(name, system string, inputs ...string) pkgset.Member {
		m := pkgset.Member{Key: out(name), Build: dashboardtest.DRV(name), Output: "out", Attribute: name, System: system}
		for _, input := range inputs {
			m.Inputs = append(m.Inputs, out(input))
		}
		return m
	}
	const here, there = "x86_64-linux", "aarch64-linux"
	members := []pkgset.Member{
		member("library", here), member("old", here), member("new", here), member("leaf", here, "library", "compiler"),
		member("compiler", here), member("agreed", here), member("differs", here, "library"), member("never", there),
	}
	two := member("library", here)
	two.Key, two.Output = dashboardtest.Out("library", "dev"), "dev"
	members = append(members, two)
	publish := func(revision string, members []pkgset.Member) {
		e := pkgset.Entry{
			Name: "base", Revision: revision, Ecosystem: "nix", Members: pkgset.Count(members), SHA256: s.log.attach(must(pkgset.Encode("nix", members))),
		}
		s.add(ledger.PackageSet, must(e.Encode()))
	}
	publish("0", append([]pkgset.Member{member("gone", here)}, members...))
	publish("1", members)
	s.claim("ada", "old", "1")
	s.claim("ada", "new", "1")
	s.claim("ada", "library", "1")
	for _, label := range []string{"ada", "bob"} {
		s.claim(label, "agreed", "1")
		s.claim(label, "differs", label)
	}
	s.say("bob", dashboardtest.Failed(dashboardtest.DRV("leaf"), "No space."))
	q := s.open()

	everything, answer := suggested(t, q, api.SuggestionQuery{Set: "base", Limit: 100})
	want := []string{"confirm library 2", "confirm old 0", "confirm new 0", "begin compiler 1", "begin never 0", "begin leaf 0"}
	if diff := cmp.Diff(want, everything); diff != "" {
		t.Errorf("for nobody in particular (-want +got):\n%s", diff)
	}
	if answer.Revision != "1" || answer.Confirmable != 3 || answer.Unbuilt != 4 {
		t.Errorf("answer %+v", answer)
	}
	if got := answer.Suggestions[0].Outputs; !slices.Equal(got, []string{out("library"), two.Key}) {
		t.Errorf("outputs of library: %v", got)
	}
	of := func(label, system string) []string {
		list, _ := suggested(t, q, api.SuggestionQuery{Set: "base", System: system, Builder: dashboardtest.ID(label), Limit: 100})
		slices.Sort(list)
		return list
	}
	sorted := func(list ...string) []string { slices.Sort(list); return list }
	for _, test := range []struct {
		label, system string
		want          []string
	}{
		// Nobody confirms what is their own.
		{"ada", "", sorted("begin compiler 1", "begin leaf 0", "begin library 0", "begin never 0")},
		// Nobody is asked again for what failed.
		{"bob", here, sorted("confirm library 2", "confirm old 0", "confirm new 0", "begin compiler 1")},
		{"cyd", there, []string{"begin never 0"}},
		{"cyd", "riscv64-linux", nil},
	} {
		if diff := cmp.Diff(test.want, of(test.label, test.system)); diff != "" {
			t.Errorf("for %s on %q (-want +got):\n%s", test.label, test.system, diff)
		}
	}
	if first, _ := suggested(t, q, api.SuggestionQuery{Set: "base", Builder: dashboardtest.ID("cyd"), Limit: 3}); slices.ContainsFunc(first, func(s string) bool { return !strings.HasPrefix(s, "confirm") }) {
		t.Errorf("what is begun is not finished first: %v", first)
	}
	// What nobody has built has a page, as a member of a set.
	if o, err := q.Output(t.Context(), out("never")); err != nil || o.Verdict != api.Unbuilt {
		t.Errorf("%+v, %v", o, err)
	}
	for _, ask := range []api.SuggestionQuery{{Set: "none"}, {Set: "base", Builder: signing.BuilderID(strings.Repeat("a", 32))}} {
		if _, err := q.Suggestions(t.Context(), ask); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("%+v: %v", ask, err)
		}
	}
}
