package query_test

import (
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/query"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
)

// turns reads the turns by the entries from ≤ index < to.
func turns(t *testing.T, q *query.Query, from, to uint64) (list []query.Turn) {
	t.Helper()
	for turn, err := range q.Turns(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, *turn)
	}
	return list
}

// TestTurns: a change is told as the feeds tell it, by itself and in each package set that had
// the output then, in whatever pieces the ledger is read.
func TestTurns(t *testing.T) {
	s := newScript(t)
	for _, label := range []string{"ada", "bob"} {
		s.enrol(label, enrolment.Counted)
	}
	publish := func(set, revision string, versions map[string]string) {
		var members []pkgset.Member
		for attribute, version := range versions {
			members = append(members, pkgset.Member{
				Key: dashboardtest.Out(attribute+"-"+version, ""), Attribute: attribute, Version: version, System: "x86_64-linux",
				Maintainers: []string{"anna", set},
			})
		}
		e := pkgset.Entry{
			Name: set, Revision: revision, Ecosystem: "nix", Members: pkgset.Count(members), SHA256: s.log.attach(must(pkgset.Encode("nix", members))),
		}
		s.add(ledger.PackageSet, must(e.Encode()))
	}
	agree := func(name string) { s.claim("ada", name, "1"); s.claim("bob", name, "1") }
	differ := func(name string) { s.claim("ada", name, "1"); s.claim("bob", name, "2") }
	publish("base", "1", map[string]string{"fell": "1", "bad": "1"})
	publish("other", "1", map[string]string{"fell": "1"})
	agree("fell-1")
	differ("bad-1")
	publish("base", "2", map[string]string{"fell": "2", "bad": "2"})
	differ("fell-2") // a regression in base, and none of other
	agree("bad-2")   // a fix, by which no output ceases to diverge
	differ("alone-1")
	publish("base", "3", map[string]string{})
	s.claim("ada", "bad-1", "2") // of no set any more

	q := s.open()
	size := s.log.Size()
	got := turns(t, q, 0, size)
	var said []string
	for _, turn := range got {
		line := fmt.Sprintf("%d %s %s", turn.Index, pathName(turn.Key), turn.Kind)
		for _, in := range turn.In {
			line += fmt.Sprintf("; %s %v %s %s was %s", in.Set, in.Maintainers, in.Attribute, in.Kind, pathName(in.Was))
		}
		said = append(said, line)
	}
	want := []string{
		"7 bad-1 diverged; base [anna base] bad diverged was ",
		"10 fell-2 diverged; base [anna base] fell regressed was fell-1",
		"12 bad-2 ; base [anna base] bad fixed was bad-1",
		"14 alone-1 diverged",
	}
	if diff := gocmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for cut := range size {
		if diff := gocmp.Diff(got, append(turns(t, q, 0, cut), turns(t, q, cut, size)...)); diff != "" {
			t.Fatalf("cut at %d (-whole +pieces):\n%s", cut, diff)
		}
	}
}

// pathName is the name in a store path.
func pathName(path string) string {
	const before = len("/nix/store/") + 33
	return path[min(before, len(path)):]
}

// TestTurnsAreTheFeeds: over a history of many kinds, what is told is what the API lists as
// changes and what the feeds of package sets have.
func TestTurnsAreTheFeeds(t *testing.T) {
	q, _ := open(t, write(t.Context(), storable(dashboardtest.Sample)))
	watermark, err := q.Watermark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var alone []dashboard.VerdictChange
	ofSet := map[string][]dashboard.VerdictChange{}
	for _, turn := range turns(t, q, 0, watermark.Indexed) {
		if turn.Kind != "" {
			alone = append(alone, turn.VerdictChange)
		}
		for _, in := range turn.In {
			if in.Kind != "" {
				ofSet[in.Set] = append(ofSet[in.Set], in.VerdictChange)
			}
		}
	}
	same := func(what string, want, got []dashboard.VerdictChange) {
		t.Helper()
		order := func(a, b dashboard.VerdictChange) int { // feeds have the newest first
			return int(a.Index) - int(b.Index)
		}
		slices.SortStableFunc(want, order)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-feed +told):\n%s", what, diff)
		}
		if len(want) == 0 {
			t.Errorf("%s: nothing changed", what)
		}
	}
	changes, _, err := q.Changes(t.Context(), dashboard.ChangeQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	same("all", changes, alone)
	sets, err := q.Sets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		feed, err := q.SetChanges(t.Context(), set.Name, 1000)
		if err != nil {
			t.Fatal(err)
		}
		same(set.Name, feed, ofSet[set.Name])
	}
}

// TestManyTurns: one entry can change more outputs than are held at a time.
func TestManyTurns(t *testing.T) {
	const outputs = 1500
	s := newScript(t)
	for _, label := range []string{"ada", "bob"} {
		s.enrol(label, enrolment.Counted)
		statement := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
		for n := range outputs {
			name := fmt.Sprint("many-", n)
			statement.Builds = append(statement.Builds, attestation.Build{Name: dashboardtest.DRV(name), Outputs: []int{n}, Occasion: attestation.OccasionBuild})
			statement.Subjects = append(statement.Subjects, attestation.Subject{Name: dashboardtest.Out(name, ""), Digest: dashboardtest.Digest(label)})
		}
		s.say(label, statement)
	}
	keys := map[string]bool{}
	list := turns(t, s.open(), 0, s.log.Size())
	for _, turn := range list {
		keys[turn.Key] = true
	}
	if len(list) != outputs || len(keys) != outputs {
		t.Errorf("%d turns of %d outputs, want %d", len(list), len(keys), outputs)
	}
}
