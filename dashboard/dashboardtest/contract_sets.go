package dashboardtest

import (
	"errors"
	"fmt"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
)

// revised is a scenario with two revisions of a package set: the second regresses, is
// fixed, and has members that the first had not.
func revised() *Scenario {
	s := &Scenario{Builders: []Builder{{"a", "ash", enrolment.Counted}, {"b", "beech", enrolment.Counted}, {"c", "chestnut", enrolment.Counted}}}
	say := func(builder string, statement *attestation.Statement) {
		s.Entries = append(s.Entries, Entry{At: contractDay(len(s.Entries)), Builder: builder, Statement: statement})
	}
	build := func(name, a, b string) {
		say("a", Rebuild(nil, DRV(name), "", Out(name, ""), a))
		say("b", Rebuild(nil, DRV(name), "", Out(name, ""), b))
	}
	publish := func(revision string, names ...string) {
		set := &Set{Name: "base", Revision: revision, Ecosystem: "nix"}
		for _, name := range names {
			m := Member{Key: Out(name, "")}
			if attribute := name[:len(name)-2]; attribute != "loose" {
				m.Attribute, m.System, m.Version = attribute, "x86_64-linux", name[len(name)-1:]
			}
			if revision == "r2" && name == "stays-1" {
				m.Maintainers = []string{"ada"} // the same member, of which more is said
			}
			set.Members = append(set.Members, m)
		}
		s.Entries = append(s.Entries, Entry{At: contractDay(len(s.Entries)), Set: set})
	}
	publish("r1", "fell-1", "mend-1", "stays-1", "gone-1", "turn-1", "loose-1") // 3
	build("fell-1", "same", "same")                                             // 4, 5: reproduced
	build("mend-1", "one", "two")                                               // 6, 7: diverged
	build("stays-1", "same", "same")                                            // 8, 9: reproduced
	publish("r2", "fell-2", "mend-2", "stays-1", "new-1", "turn-2", "loose-2")  // 10
	build("fell-2", "one", "two")                                               // 11, 12: diverged in the place of what is reproduced
	build("mend-2", "same", "same")                                             // 13, 14: reproduced in the place of what diverged
	say("c", Rebuild(nil, DRV("stays-1"), "", Out("stays-1", ""), "other"))
	say("c", Withdraw(Out("stays-1", ""), "other", "Bad disk."))        // 15, 16: diverged and back
	build("new-1", "one", "two")                                        // 17, 18: diverged
	say("b", Withdraw(Out("new-1", ""), "two", "Bad disk."))            // 19: single
	say("b", Rebuild(nil, DRV("new-1"), "", Out("new-1", ""), "three")) // 20: diverged again
	build("turn-1", "same", "same")                                     // 21, 22: reproduced, and no member any more
	build("turn-2", "one", "two")                                       // 23, 24: diverged in the place of what is reproduced
	say("c", Rebuild(nil, DRV("turn-1"), "", Out("turn-1", ""), "late"))
	return s // 25: which diverges as well from then on
}

// SetsContract is the part of [Contract] that is about revisions of package sets and changes
// of verdicts.
func SetsContract(t *testing.T, newSource func(t *testing.T, s *Scenario) dashboard.Source) {
	source := newSource(t, revised())
	t.Run("revisions", func(t *testing.T) { contractRevisions(t, source) })
	t.Run("difference", func(t *testing.T) { contractDifference(t, source) })
	t.Run("excuses", func(t *testing.T) { contractExcuses(t, source) })
	t.Run("changes", func(t *testing.T) { contractChanges(t, source) })
}

// secondRevision is how the second revision of revised is counted.
func secondRevision() dashboard.SetRevision {
	return dashboard.SetRevision{
		Set:      dashboard.Set{Name: "base", Revision: "r2", PublishedAt: contractDay(7), Index: 10, Members: 6},
		Compared: 5, Reproduced: 2, Diverged: 3, Unbuilt: 1, Before: "r1", Added: 2, Removed: 2, Changed: 3, Regressed: 1, Fixed: 1,
	}
}

func contractRevisions(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	first := dashboard.SetRevision{
		Set:      dashboard.Set{Name: "base", Revision: "r1", PublishedAt: contractDay(0), Index: 3, Members: 6},
		Compared: 4, Reproduced: 2, Diverged: 2, Unbuilt: 2, Added: 6,
	}
	revisions, err := source.SetRevisions(ctx, "base", 10)
	equal(t, "revisions", revisions, []dashboard.SetRevision{secondRevision(), first}, err)
	revisions, err = source.SetRevisions(ctx, "base", 1)
	equal(t, "the newest", revisions, []dashboard.SetRevision{secondRevision()}, err)
	if _, err := source.SetRevisions(ctx, "none", 10); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("the revisions of a set that is not there: %v", err)
	}
}

func contractDifference(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	said := func(list []dashboard.SetChange) []string {
		said := []string{}
		for _, c := range list {
			line := fmt.Sprintf("%s %s %s %s", label(c.Key), c.Attribute, c.Version, c.Verdict)
			if c.Was != nil {
				line += fmt.Sprintf(", was %s %s", label(c.Was.Key), c.Was.Verdict)
			}
			said = append(said, line)
		}
		return said
	}
	for _, revision := range []string{"", "r2"} {
		d, err := source.SetDifference(ctx, "base", revision, 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "counts", d.SetRevision, secondRevision(), nil)
		equal(t, "regressions", said(d.Regressions), []string{"fell-2 fell 2 diverged, was fell-1 reproduced"}, nil)
		equal(t, "fixes", said(d.Fixes), []string{"mend-2 mend 2 reproduced, was mend-1 diverged"}, nil)
		equal(t, "divergences", said(d.Divergences), []string{"new-1 new 1 diverged", "turn-2 turn 2 diverged, was turn-1 diverged"}, nil)
		equal(t, "additions", said(d.Additions), []string{"loose-2   unbuilt"}, nil)
		equal(t, "removals", said(d.Removals), []string{"loose-1   unbuilt", "gone-1 gone 1 unbuilt"}, nil)
	}
	first, err := source.SetDifference(ctx, "base", "r1", 2)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "before the first", first.Before, "", nil)
	equal(t, "divergences of the first", said(first.Divergences), []string{"mend-1 mend 1 diverged", "turn-1 turn 1 diverged"}, nil)
	equal(t, "two additions of the first", said(first.Additions), []string{"loose-1   unbuilt", "fell-1 fell 1 reproduced"}, nil)
	for _, name := range [][2]string{{"none", ""}, {"base", "r3"}, {"none", "r1"}} {
		if _, err := source.SetDifference(ctx, name[0], name[1], 10); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("the difference of %q: %v", name, err)
		}
	}
}

func contractExcuses(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	for _, c := range []struct {
		from, to                  string
		limit                     int
		changed, blocked, waiting uint64
		want                      []string
	}{
		{"base@r1", "base@r2", 10, 5, 3, 1, []string{"fell-2 diverged was fell-1", "new-1 diverged", "loose-2 unbuilt waits"}},
		{"base@r1", "base@", 1, 5, 3, 1, []string{"fell-2 diverged was fell-1"}},
		{"base@r2", "base@r1", 10, 5, 3, 2, []string{"mend-1 diverged was mend-2", "loose-1 unbuilt waits", "gone-1 unbuilt waits"}},
		{"base@r2", "base@", 10, 0, 0, 0, []string{}},
	} {
		e, err := source.Excuses(ctx, c.from, c.to, c.limit)
		if err != nil {
			t.Fatalf("%s to %s: %v", c.from, c.to, err)
		}
		said := []string{}
		for _, excuse := range e.Excuses {
			line := label(excuse.Key) + " " + string(excuse.Verdict)
			if excuse.Was != nil {
				line += " was " + label(excuse.Was.Key)
			}
			if excuse.Waits {
				line += " waits"
			}
			said = append(said, line)
		}
		equal(t, c.from+" to "+c.to, said, c.want, nil)
		equal(t, "counts", []uint64{e.Changed, e.Blocked, e.Waiting, e.From.Members}, []uint64{c.changed, c.blocked, c.waiting, 6}, nil)
	}
	for _, sides := range [][2]string{{"base", "base@r2"}, {"base@r1", "base@r3"}, {"none@", "base@"}, {"base@r1", ""}} {
		if _, err := source.Excuses(ctx, sides[0], sides[1], 10); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("excuses of %q: %v", sides, err)
		}
	}
}

func contractChanges(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	said := func(list []dashboard.VerdictChange) []string {
		said := []string{}
		for _, c := range list {
			line := fmt.Sprintf("%d %s %s-%s %s", c.Index, label(c.Key), c.From, c.To, c.Kind)
			if c.Was != "" {
				line += ", was " + label(c.Was)
			}
			said = append(said, line)
		}
		return said
	}
	all := []string{
		"25 turn-1 reproduced-diverged diverged", "24 turn-2 single-diverged diverged",
		"20 new-1 single-diverged diverged", "19 new-1 diverged-single undecided", "18 new-1 single-diverged diverged", "16 stays-1 diverged-reproduced fixed",
		"15 stays-1 reproduced-diverged diverged", "12 fell-2 single-diverged diverged", "7 mend-1 single-diverged diverged",
	}
	for _, c := range []struct {
		name  string
		query dashboard.ChangeQuery
		want  []string
	}{
		{"all", dashboard.ChangeQuery{Limit: 100}, all},
		{"the newest", dashboard.ChangeQuery{Limit: 4}, all[:4]},
		{"newest members", dashboard.ChangeQuery{Set: "base", Limit: 100}, all[1:8]},
		{"ecosystem", dashboard.ChangeQuery{Ecosystem: "nix", Limit: 100}, all},
		{"another ecosystem", dashboard.ChangeQuery{Ecosystem: "go", Limit: 100}, []string{}},
		{"another project", dashboard.ChangeQuery{Project: "nix", Limit: 100}, []string{}},
		{"a maintainer's", dashboard.ChangeQuery{Maintainer: "ada", Limit: 100}, all[5:7]},
		{"nobody's", dashboard.ChangeQuery{Maintainer: "bob", Limit: 100}, []string{}},
	} {
		list, next, err := source.Changes(ctx, c.query)
		equal(t, c.name, said(list), c.want, err)
		if more := c.query.Limit < 100; more != (next != "") {
			t.Errorf("%s: next is %q", c.name, next)
		}
	}
	var paged []string
	for query := (dashboard.ChangeQuery{Limit: 2}); ; {
		page, next, err := source.Changes(ctx, query)
		if err != nil || len(page) > 2 {
			t.Fatalf("%d changes on a page of 2, %v", len(page), err)
		}
		if paged = append(paged, said(page)...); next == "" {
			break
		}
		query.Cursor = next
	}
	equal(t, "by pages", paged, all, nil)
	list, _, err := source.Changes(ctx, dashboard.ChangeQuery{Limit: 1})
	equal(t, "a change", list, []dashboard.VerdictChange{{
		Key: Out("turn-1", ""), Ecosystem: "nix", Build: DRV("turn-1"), Kind: "diverged",
		Change: dashboard.Change{Index: 25, ReceivedAt: contractDay(22), From: "reproduced", To: "diverged"},
	}}, err)
	list, err = source.SetChanges(ctx, "base", 100)
	equal(t, "of a set", said(list), []string{
		"24 turn-2 single-diverged regressed, was turn-1",
		"20 new-1 single-diverged diverged", "19 new-1 diverged-single undecided", "18 new-1 single-diverged diverged",
		"16 stays-1 diverged-reproduced fixed", "15 stays-1 reproduced-diverged diverged",
		"14 mend-2 single-reproduced fixed, was mend-1", "12 fell-2 single-diverged regressed, was fell-1", "7 mend-1 single-diverged diverged",
	}, err)
	list, err = source.SetChanges(ctx, "base", 1)
	equal(t, "the newest of a set", said(list), []string{"24 turn-2 single-diverged regressed, was turn-1"}, err)
	if c := list[0]; c.Attribute != "turn" || c.Version != "2" || c.System != "x86_64-linux" {
		t.Errorf("a change in a set is %+v", c)
	}
	for name, ask := range map[string]func() error{
		"changes": func() error {
			_, _, err := source.Changes(ctx, dashboard.ChangeQuery{Set: "none", Limit: 1})
			return err
		},
		"cursor": func() error {
			_, _, err := source.Changes(ctx, dashboard.ChangeQuery{Cursor: "nonsense", Limit: 1})
			return err
		},
		"set": func() error { _, err := source.SetChanges(ctx, "none", 1); return err },
	} {
		if err := ask(); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("%s of a set that is not there: %v", name, err)
		}
	}
}
