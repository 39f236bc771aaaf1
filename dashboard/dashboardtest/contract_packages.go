package dashboardtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
)

// onArm is a path for another system, which has another hash.
func onArm(name string) string { return "/nix/store/" + storeHash("arm "+name) + "-" + name }

// Packaged is a scenario with a package, hello, of several versions and systems: 2.12.1 came in the
// place of 2.9, which is reproduced, and diverges because chestnut dissents; 2.13 is new. An
// operator who does not count speaks of more versions.
func Packaged() *Scenario {
	s := &Scenario{Builders: []Builder{{"a", "ash", enrolment.Counted}, {"b", "beech", enrolment.Counted}, {"c", "chestnut", enrolment.Counted}, {"o", "oak", enrolment.Open}}}
	say := func(builder string, statement *attestation.Statement) {
		s.Entries = append(s.Entries, Entry{At: contractDay(len(s.Entries)), Builder: builder, Statement: statement})
	}
	build := func(builder, name string, outputs ...string) { say(builder, Rebuild(nil, DRV(name), "", outputs...)) }
	member := func(key, attribute, version, system string, maintainers ...string) Member {
		return Member{Key: key, Attribute: attribute, Version: version, System: system, Maintainers: maintainers}
	}
	tool := member(Out("tool-1.0", ""), "tool", "1.0", "x86_64-linux", "ada", "grace")
	s.Entries = append(s.Entries, Entry{At: contractDay(0), Set: &Set{Name: "base", Revision: "r1", Ecosystem: "nix", Members: []Member{ // 4
		member(Out("hello-2.9", ""), "hello", "2.9", "x86_64-linux", "ada"), tool,
	}}})
	build("a", "hello-2.9", Out("hello-2.9", ""), "same")                                                                                // 5
	build("b", "hello-2.9", Out("hello-2.9", ""), "same")                                                                                // 6: reproduced
	s.Entries = append(s.Entries, Entry{At: contractDay(3), Set: &Set{Name: "base", Revision: "r2", Ecosystem: "nix", Members: []Member{ // 7
		member(Out("hello-2.12.1", ""), "hello", "2.12.1", "x86_64-linux", "ada"),
		member(onArm("hello-2.12.1"), "hello", "2.12.1", "aarch64-linux", "ada"),
		member(Out("late-1", ""), "late", "1", "x86_64-linux", "ada"), tool,
	}}})
	both := []string{Out("hello-2.12.1", ""), "hello", Out("hello-2.12.1", "man"), "manual"}
	build("a", "hello-2.12.1", both...)                                                    // 8
	build("b", "hello-2.12.1", both...)                                                    // 9: both reproduced
	build("c", "hello-2.12.1", Out("hello-2.12.1", ""), "another")                         // 10: diverged, in the place of what is reproduced
	say("a", Rebuild(nil, onArm("hello-2.12.1.drv"), "", onArm("hello-2.12.1"), "on arm")) // 11: single
	build("o", "hello-9999", Out("hello-9999", ""), "anything")                            // 12: counts for nothing
	build("a", "hello-2.13", Out("hello-2.13", ""), "new")                                 // 13: single
	return s
}

// PackagesContract is the part of [Contract] that is about packages and maintainers.
func PackagesContract(t *testing.T, newSource func(t *testing.T, s *Scenario) dashboard.Source) {
	source := newSource(t, Packaged())
	t.Run("list", func(t *testing.T) { contractPackages(t, source) })
	t.Run("package", func(t *testing.T) { contractPackage(t, source) })
	t.Run("versions", func(t *testing.T) { contractVersions(t, source) })
	t.Run("filters", func(t *testing.T) { contractOfPackage(t, source) })
	t.Run("maintainers", func(t *testing.T) { contractMaintainers(t, source) })
	t.Run("maintainer", func(t *testing.T) { contractMaintainer(t, source) })
}

func contractPackages(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	all := []api.PackageRow{
		{Name: "hello", Ecosystem: "nix", Outputs: 6, Versions: 4, Diverged: 1},
		{Name: "late", Ecosystem: "nix", Outputs: 1, Versions: 1},
		{Name: "tool", Ecosystem: "nix", Outputs: 1, Versions: 1},
	}
	for text, want := range map[string][]api.PackageRow{"": all, "LL": all[:1], "e": all[:2], "none": {}, "%": {}, "_": {}, `\`: {}, "'": {}} {
		page, err := source.Packages(ctx, dashboard.PackageQuery{Text: text, Limit: 10})
		equal(t, "packages with "+text, page, &dashboard.PackagePage{Packages: want}, err)
	}
	var paged []api.PackageRow
	for query := (dashboard.PackageQuery{Limit: 1}); ; {
		page, err := source.Packages(ctx, query)
		if err != nil || len(page.Packages) != 1 {
			t.Fatalf("%+v, %v", page, err)
		}
		paged = append(paged, page.Packages...)
		if query.Cursor = page.Next; query.Cursor == "" {
			break
		}
	}
	equal(t, "by pages", paged, all, nil)
	if _, err := source.Packages(ctx, dashboard.PackageQuery{Limit: 1, Cursor: "nonsense"}); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("a cursor of nothing: %v", err)
	}
}

func contractPackage(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	p, err := source.Package(ctx, dashboard.VersionsQuery{Name: "hello", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "explanation", p.Explanation, "1 of 3 outputs of 2.12.1 is reproduced by 2 operators; 1 diverges since "+
		contractDay(6).Format("2 Jan 2006")+"; 1 was built by one operator only. Of 2.13, nothing is compared yet.", nil)
	system := func(name string, counts api.VerdictCounts) api.PackageSystem {
		return api.PackageSystem{System: name, VerdictCounts: counts}
	}
	single, reproduced, diverged := api.VerdictCounts{Single: 1}, api.VerdictCounts{Reproduced: 1}, api.VerdictCounts{Diverged: 1}
	newest := api.PackageVersion{
		Version: "2.12.1", VerdictCounts: api.VerdictCounts{Single: 1, Reproduced: 1, Diverged: 1},
		Systems: []api.PackageSystem{system("", reproduced), system("aarch64-linux", single), system("x86_64-linux", diverged)},
	}
	equal(t, "versions", p.Versions, []api.PackageVersion{
		{Version: "2.13", VerdictCounts: single, Systems: []api.PackageSystem{system("", single)}},
		newest,
		{Version: "2.9", VerdictCounts: reproduced, Systems: []api.PackageSystem{system("x86_64-linux", reproduced)}},
	}, nil)
	equal(t, "newest", p.Newest.PackageVersion, newest, nil)
	equal(t, "operators and since", []any{p.Newest.Operators, p.Newest.Since, p.Total, p.Diverged, p.Ecosystem, p.Next}, []any{uint64(2), contractDay(6), uint64(3), uint64(1), "nix", ""}, nil)
	verdicts := map[string]api.Verdict{}
	for _, row := range p.Newest.Outputs {
		verdicts[row.Key] = row.Verdict
	}
	equal(t, "outputs", verdicts, map[string]api.Verdict{
		Out("hello-2.12.1", ""): api.Diverged, Out("hello-2.12.1", "man"): api.Reproduced, onArm("hello-2.12.1"): api.Single,
	}, nil)
	equal(t, "sets", p.Sets, []api.PackagePlan{
		{Set: "base", Attribute: "hello", Version: "2.12.1", System: "aarch64-linux", Maintainers: []string{"ada"}, Outputs: 1},
		{Set: "base", Attribute: "hello", Version: "2.12.1", System: "x86_64-linux", Maintainers: []string{"ada"}, Outputs: 1},
	}, nil)
	if len(p.Divergences) != 1 || p.Divergences[0].Key != Out("hello-2.12.1", "") || p.Divergences[0].Regressed != Out("hello-2.9", "") || p.Divergences[0].Shape != api.Outlier {
		t.Errorf("divergences: %+v", p.Divergences)
	}
	unbuilt, err := source.Package(ctx, dashboard.VersionsQuery{Name: "late", Ecosystem: "nix", Limit: 10})
	equal(t, "of what is not built", unbuilt.Explanation, "Nothing is compared yet: of 1 output of 1, 1 was not built.", err)
	for _, query := range []dashboard.VersionsQuery{
		{Name: "none", Limit: 1},
		{Name: "hello", Ecosystem: "debian", Limit: 1},
		{Name: "hello", Cursor: "nonsense", Limit: 1},
		{Name: "", Limit: 1},
		{Name: "%", Limit: 1},
		{Name: strings.Repeat("x", 1000), Limit: 1},
		{Name: "' OR 1", Limit: 1},
		{Name: "\u202eolleh", Limit: 1},
	} {
		if _, err := source.Package(ctx, query); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("package %.40q: %v", query.Name, err)
		}
	}
}

func contractVersions(t *testing.T, source dashboard.Source) {
	var got []string
	for query := (dashboard.VersionsQuery{Name: "hello", Limit: 1}); ; {
		p, err := source.Package(t.Context(), query)
		if err != nil || len(p.Versions) != 1 || p.Newest.Version != "2.12.1" || p.Total != 3 {
			t.Fatalf("%+v, %v", p, err)
		}
		got = append(got, p.Versions[0].Version)
		if query.Cursor = p.Next; query.Cursor == "" {
			break
		}
	}
	equal(t, "pages of one version", got, []string{"2.13", "2.12.1", "2.9"}, nil)
}

func contractOfPackage(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	for _, c := range []struct {
		name, in string
		want     uint64
	}{{"hello", "", 1}, {"hello", "nix", 1}, {"hello", "debian", 0}, {"tool", "", 0}} {
		page, err := source.Divergences(ctx, dashboard.DivergenceQuery{Package: c.name, Ecosystem: c.in, Limit: 10})
		equal(t, fmt.Sprint("divergences of ", c), page.Total, c.want, err)
		changes, _, err := source.Changes(ctx, dashboard.ChangeQuery{Package: c.name, Ecosystem: c.in, Limit: 10})
		equal(t, fmt.Sprint("changes of ", c), uint64(len(changes)), c.want, err)
	}
}

func contractMaintainers(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	all := []api.MaintainerRow{
		{Name: "ada", VerdictCounts: api.VerdictCounts{Unbuilt: 2, Single: 1, Diverged: 1}}, {Name: "grace", VerdictCounts: api.VerdictCounts{Unbuilt: 1}},
	}
	for text, want := range map[string][]api.MaintainerRow{"": all, "AD": all[:1], "none": {}, "%": {}} {
		page, err := source.Maintainers(ctx, dashboard.MaintainerQuery{Text: text, Limit: 10})
		equal(t, "maintainers with "+text, page, &dashboard.MaintainerPage{Maintainers: want}, err)
	}
	first, err := source.Maintainers(ctx, dashboard.MaintainerQuery{Limit: 1})
	equal(t, "a page of one", first, &dashboard.MaintainerPage{Maintainers: all[:1], Next: "ada"}, err)
	second, err := source.Maintainers(ctx, dashboard.MaintainerQuery{Limit: 1, Cursor: first.Next})
	equal(t, "the next page", second, &dashboard.MaintainerPage{Maintainers: all[1:]}, err)
}

func contractMaintainer(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	m, err := source.Maintainer(ctx, "ada", 10)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "counts", m.VerdictCounts, api.VerdictCounts{Unbuilt: 2, Single: 1, Diverged: 1}, nil)
	equal(t, "sets", m.Sets, []string{"base"}, nil)
	if len(m.Regressions) != 1 || m.Regressions[0].Key != Out("hello-2.12.1", "") || m.Regressions[0].Regressed != Out("hello-2.9", "") || len(m.Divergences) != 0 {
		t.Errorf("regressions %+v, divergences %+v", m.Regressions, m.Divergences)
	}
	var waiting []string
	for _, u := range m.Unconfirmed {
		waiting = append(waiting, fmt.Sprintf("%s %s %s %s %s %d %s", u.Set, u.Attribute, u.Version, u.System, u.Verdict, u.Revision, u.Since.Format("2 Jan")))
	}
	equal(t, "unconfirmed", waiting, []string{
		"base tool 1.0 x86_64-linux unbuilt 4 1 Mar", "base hello 2.12.1 aarch64-linux single 7 4 Mar", "base late 1 x86_64-linux unbuilt 7 4 Mar",
	}, nil)
	one, err := source.Maintainer(ctx, "ada", 1)
	equal(t, "with a limit", []int{len(one.Regressions), len(one.Unconfirmed)}, []int{1, 1}, err)
	if _, err := source.Maintainer(ctx, "nobody", 10); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}
