package dashboardtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// Contract checks that a source answers as package dashboard expects.
// newSource returns one that has seen a scenario, entry by entry: the entry of
// Builders[i] at ledger index i, and Entries[i] after them.
func Contract(t *testing.T, newSource func(t *testing.T, s *Scenario) dashboard.Source) {
	t.Run("empty", func(t *testing.T) { contractEmpty(t, newSource(t, &Scenario{})) })
	t.Run("copying", func(t *testing.T) { contractCopying(t, newSource(t, Copied(contractDay(0)))) })
	t.Run("sets", func(t *testing.T) { SetsContract(t, newSource) })
	t.Run("packages", func(t *testing.T) { PackagesContract(t, newSource) })
	s := contractScenario()
	source := newSource(t, s)
	for name, check := range map[string]func(*testing.T, dashboard.Source){
		"status": contractStatus, "outputs": contractOutputs, "builds": contractBuilds, "look-up": contractLookUp, "many keys": contractManyKeys,
		"divergences": contractDivergences, "pages": contractPages, "builders": contractBuilders,
	} {
		t.Run(name, func(t *testing.T) { check(t, source) })
	}
}

// The contract's outputs, by what becomes of them.
func agreed() string   { return Out("agreed", "") }
func alone() string    { return Out("alone", "") }
func outlier() string  { return Out("outlier", "") }
func self() string     { return Out("self", "") }
func scatter() string  { return Out("scatter", "") }
func taken() string    { return Out("taken", "") }
func openOnly() string { return Out("open-only", "") }

const contractIndex = 6 // of the first entry after the enrolments

func contractDay(n int) time.Time { return time.Date(2026, 3, 1+n, 12, 0, 0, 0, time.UTC) }

// contractScenario has each verdict and shape: three counted operators, one of
// them with two keys, and an open one.
func contractScenario() *Scenario {
	s := &Scenario{Builders: []Builder{
		{"a1", "ash", enrolment.Counted},
		{"a2", "ash", enrolment.Counted},
		{"b", "beech", enrolment.Counted},
		{"c", "chestnut", enrolment.Counted},
		{"o", "oak", enrolment.Open},
		{"idle", "idle", enrolment.Counted},
	}}
	say := func(day int, builder string, statement *attestation.Statement) {
		s.Entries = append(s.Entries, Entry{At: contractDay(day), Builder: builder, Statement: statement})
	}
	environment := map[string]string{"kernel": "6.12.9"}
	build := func(day int, builder, name, inputs, digest string) {
		say(day, builder, Rebuild(environment, DRV(name), inputs, Out(name, ""), digest))
	}
	s.Entries = append(s.Entries, Entry{At: contractDay(0), Set: &Set{ // 6
		Name: "release", Revision: "1", Ecosystem: "nix", Members: []Member{
			{Key: agreed(), Attribute: "agreed", Version: "1.0", System: "x86_64-linux", Maintainers: []string{"ada"}},
			{Key: outlier(), Maintainers: []string{"grace"}, Inputs: []string{agreed(), scatter()}},
			{Key: scatter(), Maintainers: []string{"ada"}},
			{Key: Out("never", "")},
		},
	}})
	build(0, "a1", "agreed", "i", "same")              // 7
	build(0, "a2", "agreed", "i", "same")              // 8: the same operator
	build(1, "b", "agreed", "i", "same")               // 9: reproduced
	build(1, "a1", "alone", "", "same")                // 10
	build(1, "a2", "alone", "", "same")                // 11: still one operator
	build(2, "a1", "scatter", "i", "s1")               // 12
	build(2, "b", "scatter", "i", "s2")                // 13: diverged, own
	build(3, "a1", "outlier", "i1", "most")            // 14
	build(3, "b", "outlier", "i1", "most")             // 15: reproduced
	build(4, "c", "outlier", "i2", "mine")             // 16: diverged, inherited, a regression
	build(4, "a1", "self", "", "one")                  // 17
	build(4, "a2", "self", "", "two")                  // 18: diverged by one operator
	build(5, "a1", "taken", "", "good")                // 19
	build(5, "b", "taken", "", "bad")                  // 20: diverged
	say(6, "b", Withdraw(taken(), "bad", "Bad disk.")) // 21: single again
	build(6, "o", "agreed", "i", "other")              // 22: open, counts for nothing
	build(6, "o", "open-only", "i", "other")           // 23
	say(6, "c", Failed(DRV("agreed"), "No space."))    // 24
	return s
}

func contractEmpty(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	summary, err := source.Summary(ctx, "")
	equal(t, "summary", summary, &dashboard.Summary{}, err)
	history, err := source.History(ctx, "")
	equal(t, "history", len(history), 0, err)
	sets, err := source.Sets(ctx)
	equal(t, "sets", len(sets), 0, err)
	builders, err := source.Builders(ctx)
	equal(t, "builders", len(builders), 0, err)
	comparison, err := source.Comparison(ctx)
	equal(t, "comparison", comparison, &dashboard.Comparison{Pairs: []dashboard.Agreement{}}, err)
	page, err := source.Divergences(ctx, dashboard.DivergenceQuery{Limit: 10})
	equal(t, "divergences", page, &dashboard.DivergencePage{Divergences: []dashboard.Divergence{}}, err)
	changes, _, err := source.Changes(ctx, dashboard.ChangeQuery{Limit: 10})
	equal(t, "changes", changes, []dashboard.VerdictChange{}, err)
	packages, err := source.Packages(ctx, dashboard.PackageQuery{Limit: 10})
	equal(t, "packages", packages, &dashboard.PackagePage{Packages: []api.PackageRow{}}, err)
	maintainers, err := source.Maintainers(ctx, dashboard.MaintainerQuery{Limit: 10})
	equal(t, "maintainers", maintainers, &dashboard.MaintainerPage{Maintainers: []api.MaintainerRow{}}, err)
	missing(t, source, "release")
}

func missing(t *testing.T, source dashboard.Source, set string) {
	t.Helper()
	ctx := t.Context()
	_, summary := source.Summary(ctx, set+" of nobody")
	_, history := source.History(ctx, set+" of nobody")
	_, divergences := source.Divergences(ctx, dashboard.DivergenceQuery{Set: set + " of nobody", Limit: 1})
	_, output := source.Output(ctx, Out("of-nobody", ""))
	_, build := source.Build(ctx, DRV("of-nobody"))
	_, builder := source.Builder(ctx, ID("of nobody"))
	for name, err := range map[string]error{
		"summary": summary, "history": history, "divergences": divergences, "output": output, "build": build, "builder": builder,
	} {
		if !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("%s of what is not there: %v, want ErrNotFound", name, err)
		}
	}
}

func contractStatus(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	watermark, err := source.Watermark(ctx)
	equal(t, "watermark", watermark, dashboard.Watermark{Indexed: 25, Compared: 25}, err)
	all := &dashboard.Summary{
		Outputs: 6, Compared: 4, Reproduced: 1, Diverged: 3, Single: 2, Builders: 5, Operators: 4,
		Attestations: 18, Observations: 16, Failures: 1, LedgerSize: 25, Indexed: 25,
	}
	summary, err := source.Summary(ctx, "")
	equal(t, "summary", summary, all, err)
	set := *all
	set.Set, set.Revision, set.Outputs, set.Compared, set.Diverged, set.Single, set.Unbuilt = "release", "1", 4, 3, 2, 0, 1
	own := set
	own.Builders, own.Operators, own.Attestations, own.Observations = 5, 4, 9, 9 // who spoke about its members
	summary, err = source.Summary(ctx, "release")
	equal(t, "summary of a set", summary, &own, err)
	summaries, err := source.Summaries(ctx, []string{"release of nobody", "release"})
	equal(t, "summaries of sets", summaries, []dashboard.Summary{set}, err)

	midnight := func(n int) time.Time { return contractDay(n).Add(-12 * time.Hour) }
	history, err := source.History(ctx, "")
	equal(t, "history", history, []dashboard.DayCounts{
		{Day: midnight(0), Single: 1},
		{Day: midnight(1), Reproduced: 1, Single: 1},
		{Day: midnight(2), Reproduced: 1, Diverged: 1, Single: 1},
		{Day: midnight(3), Reproduced: 2, Diverged: 1, Single: 1},
		{Day: midnight(4), Reproduced: 1, Diverged: 3, Single: 1},
		{Day: midnight(5), Reproduced: 1, Diverged: 4, Single: 1},
		{Day: midnight(6), Reproduced: 1, Diverged: 3, Single: 2},
	}, err)
	history, err = source.History(ctx, "release")
	equal(t, "history of a set", history, []dashboard.DayCounts{
		{Day: midnight(0), Single: 1},
		{Day: midnight(1), Reproduced: 1},
		{Day: midnight(2), Reproduced: 1, Diverged: 1},
		{Day: midnight(3), Reproduced: 2, Diverged: 1},
		{Day: midnight(4), Reproduced: 1, Diverged: 2},
	}, err)
	sets, err := source.Sets(ctx)
	equal(t, "sets", sets, []dashboard.Set{{Name: "release", Revision: "1", PublishedAt: contractDay(0), Index: contractIndex, Members: 4}}, err)
	missing(t, source, "release")
}

func contractOutputs(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	for key, want := range map[string]string{
		agreed(): "reproduced   2 1", alone(): "single   1 1", outlier(): "diverged outlier inherited 3 2", self(): "diverged self unknown 1 2",
		scatter(): "diverged scatter own 2 2", taken(): "single   1 1", openOnly(): "unbuilt   0 0",
	} {
		o, err := source.Output(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join([]string{string(o.Verdict), string(o.Shape), string(o.Cause)}, " ") + " " + string(rune('0'+o.Operators)) + " " + string(rune('0'+o.Digests))
		equal(t, key, got, want, nil)
	}
	o, err := source.Output(ctx, agreed())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "history", o.History, []dashboard.Change{
		{Index: 7, ReceivedAt: contractDay(0), From: "unbuilt", To: "single"}, {Index: 9, ReceivedAt: contractDay(1), From: "single", To: "reproduced"},
	}, nil)
	equal(t, "sets", o.Member, []dashboard.SetPlan{{Set: "release", Attribute: "agreed", Version: "1.0", System: "x86_64-linux", Maintainers: []string{"ada"}}}, nil)
	equal(t, "build and kind", []string{o.Ecosystem, o.Build, o.DigestKind}, []string{"nix", DRV("agreed"), "nar"}, nil)
	if len(o.Claims) != 4 {
		t.Fatalf("%d claims, want 4", len(o.Claims))
	}
	claim := dashboard.Claim{
		Index: 7, ReceivedAt: contractDay(0), Builder: string(ID("a1")), Operator: "ash", Tier: "counted", Digest: Digest("same").String(),
		Occasion: "build", InputsDigest: Digest("i").String(), Environment: map[string]string{"kernel": "6.12.9"}, Counts: true,
	}
	equal(t, "claim", o.Claims[0], claim, nil)
	claim.Index, claim.ReceivedAt, claim.Builder, claim.Operator, claim.Tier, claim.Digest = 22, contractDay(6), string(ID("o")), "oak", "open", Digest("other").String()
	claim.Counts, claim.Status = false, "open"
	equal(t, "claim that does not count", o.Claims[3], claim, nil)

	o, err = source.Output(ctx, taken())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "withdrawn", []any{o.Claims[1].Counts, o.Claims[1].Status, o.Claims[1].Reason}, []any{false, api.StandingWithdrawn, "Bad disk."}, nil)
	o, err = source.Output(ctx, outlier())
	if err != nil {
		t.Fatal(err)
	}
	var inputs []string
	for _, input := range o.Member[0].Inputs {
		inputs = append(inputs, input.Key+" "+string(input.Verdict))
	}
	equal(t, "inputs", inputs, []string{agreed() + " reproduced", scatter() + " diverged"}, nil)
}

func contractBuilds(t *testing.T, source dashboard.Source) {
	b, err := source.Build(t.Context(), DRV("agreed"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "outputs", len(b.Outputs), 1, nil)
	equal(t, "output", b.Outputs[0].Key, agreed(), nil)
	equal(t, "failures", b.Failures, []dashboard.Failure{{
		Index: 24, ReceivedAt: contractDay(6), Builder: string(ID("c")), Operator: "chestnut", Failure: "No space.",
	}}, nil)
}

func contractLookUp(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	keys := func(rows []dashboard.OutputRow) []string {
		list := []string{}
		for _, row := range rows {
			list = append(list, label(row.Key))
		}
		return list
	}
	for digest, want := range map[string][]string{
		"mine": {"outlier"}, "bad": {"taken"}, "other": {"agreed", "open-only"}, "nobody's": {},
	} {
		rows, err := source.ByDigest(ctx, Digest(digest))
		got := keys(rows)
		slices.Sort(got)
		equal(t, "outputs with digest "+digest, got, want, err)
	}
	for text, want := range map[string][]string{"OUTLI": {"outlier"}, "no-such": {}, "%": {}, "_": {}, "'": {}} {
		page, err := source.Search(ctx, dashboard.SearchQuery{Text: text, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "search for "+text, keys(page.Outputs), want, nil)
	}
	contractSearchPages(t, source)
}

// contractSearchPages: the pages of a search have all of it, each in order.
func contractSearchPages(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	all, err := source.Search(ctx, dashboard.SearchQuery{Text: "nix", Limit: 100})
	if err != nil || all.Next != "" || len(all.Outputs) < 7 {
		t.Fatalf("%+v, %v", all, err)
	}
	keys := func(rows []dashboard.OutputRow) (list []string) {
		for _, row := range rows {
			list = append(list, row.Key)
		}
		return list
	}
	var paged []string
	for query := (dashboard.SearchQuery{Text: "nix", Limit: 3}); ; {
		page, err := source.Search(ctx, query)
		if err != nil || len(page.Outputs) > 3 {
			t.Fatalf("%+v, %v", page, err)
		}
		if !slices.IsSortedFunc(page.Outputs, func(a, b dashboard.OutputRow) int { return strings.Compare(a.Key, b.Key) }) {
			t.Errorf("a search is not ordered by key: %q", keys(page.Outputs))
		}
		paged = append(paged, keys(page.Outputs)...)
		if query.Cursor = page.Next; query.Cursor == "" {
			break
		}
	}
	want := keys(all.Outputs)
	slices.Sort(want)
	slices.Sort(paged)
	equal(t, "by pages", paged, want, nil)
	if _, err := source.Search(ctx, dashboard.SearchQuery{Text: "nix", Limit: 3, Cursor: "nonsense"}); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("a cursor of nothing: %v", err)
	}
}

func contractDivergences(t *testing.T, source dashboard.Source) {
	for _, c := range []struct {
		name  string
		query dashboard.DivergenceQuery
		want  []string
	}{
		{"all", dashboard.DivergenceQuery{}, []string{"self", "outlier", "scatter"}},
		{"set", dashboard.DivergenceQuery{Set: "release"}, []string{"outlier", "scatter"}},
		{"shape", dashboard.DivergenceQuery{Shape: "self"}, []string{"self"}},
		{"cause", dashboard.DivergenceQuery{Cause: "inherited"}, []string{"outlier"}},
		{"builder", dashboard.DivergenceQuery{Builder: ID("b")}, []string{"outlier", "scatter"}},
		{"unknown builder", dashboard.DivergenceQuery{Builder: signing.BuilderID(strings.Repeat("a", 32))}, nil},
		{"maintainer", dashboard.DivergenceQuery{Maintainer: "ada"}, []string{"scatter"}},
		{"ecosystem", dashboard.DivergenceQuery{Ecosystem: "nix"}, []string{"self", "outlier", "scatter"}},
		{"another ecosystem", dashboard.DivergenceQuery{Ecosystem: "go"}, nil},
		{"another project", dashboard.DivergenceQuery{Project: "nix"}, nil},
		{"several", dashboard.DivergenceQuery{Shape: "outlier", Cause: "inherited", Set: "release", Maintainer: "grace"}, []string{"outlier"}},
		{"none", dashboard.DivergenceQuery{Shape: "split"}, nil},
	} {
		c.query.Limit = 10
		page, err := source.Divergences(t.Context(), c.query)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range page.Divergences {
			got = append(got, label(d.Key))
		}
		equal(t, c.name, got, c.want, nil)
		equal(t, c.name+", total", page.Total, uint64(len(c.want)), nil)
	}
	page, err := source.Divergences(t.Context(), dashboard.DivergenceQuery{Shape: "outlier", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := page.Divergences[0]
	equal(t, "since", []any{d.Since, d.Index, d.Previous}, []any{contractDay(4), uint64(16), api.Reproduced}, nil)
	equal(t, "factions", d.Factions, []dashboard.Faction{
		{Digest: Digest("most").String(), Operators: []string{"ash", "beech"}}, {Digest: Digest("mine").String(), Operators: []string{"chestnut"}},
	}, nil)
}

func contractPages(t *testing.T, source dashboard.Source) {
	var got []string
	query := dashboard.DivergenceQuery{Limit: 1}
	for range 4 {
		page, err := source.Divergences(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "total", page.Total, 3, nil)
		for _, d := range page.Divergences {
			got = append(got, label(d.Key))
		}
		if query.Cursor = page.Next; query.Cursor == "" {
			break
		}
	}
	equal(t, "pages of one", got, []string{"self", "outlier", "scatter"}, nil)
	for _, cursor := range []string{"nonsense", "-1:x", "%00"} {
		_, err := source.Divergences(t.Context(), dashboard.DivergenceQuery{Limit: 1, Cursor: cursor})
		if !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("cursor %q: %v, want ErrNotFound", cursor, err)
		}
	}
}

func contractBuilders(t *testing.T, source dashboard.Source) {
	ctx := t.Context()
	list, err := source.Builders(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var operators []string
	for i, b := range list {
		operators = append(operators, b.Operator)
		if i > 0 && b.Operator == list[i-1].Operator && b.ID < list[i-1].ID {
			t.Error("builders of one operator are not ordered by ID")
		}
	}
	equal(t, "builders", operators, []string{"ash", "ash", "beech", "chestnut", "idle", "oak"}, nil)
	b, err := source.Builder(ctx, ID("b"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "builder", b.Builder, dashboard.Builder{
		ID: string(ID("b")), Operator: "beech", Tier: "counted", Attestations: 5, Observations: 4, LastSeen: contractDay(6), Flags: b.Flags, AsOf: 25,
	}, nil)
	equal(t, "enrolled at", b.EnrolledAt, 2, nil)
	equal(t, "public key", b.PublicKey, string(signingtest.Named("b").Public().PEM()), nil)
	equal(t, "verdicts", b.Verdicts, map[api.Verdict]uint64{"reproduced": 1, "diverged": 2, "single": 1}, nil)
	newest := b.Recent[0]
	equal(t, "newest claim", []string{newest.Output, newest.Digest}, []string{taken(), Digest("bad").String()}, nil)
	equal(t, "how it stands", []any{newest.Counts, newest.Status, newest.Reason, newest.By != nil}, []any{false, api.StandingWithdrawn, "Bad disk.", true}, nil)

	comparison, err := source.Comparison(ctx)
	equal(t, "comparison", comparison, &dashboard.Comparison{AsOf: 25, Pairs: []dashboard.Agreement{
		{A: "ash", B: "beech", Common: 3, Agree: 2},
		{A: "ash", B: "chestnut", Common: 1},
		{A: "ash", B: "oak", Common: 1},
		{A: "beech", B: "chestnut", Common: 1},
		{A: "beech", B: "oak", Common: 1},
	}}, err)
}

func contractCopying(t *testing.T, source dashboard.Source) {
	list, err := source.Builders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(len(Copied(contractDay(0)).Builders) + len(Copied(contractDay(0)).Entries))
	for _, b := range list {
		var want []dashboard.Copying
		flags := []api.Flag{}
		if b.Operator == "magpie" {
			want, flags = []dashboard.Copying{{From: "ash", Common: 6, Same: 6}}, []api.Flag{"copying"}
		}
		equal(t, b.Operator+" seems to copy", b.Copying, want, nil)
		equal(t, "flags of "+b.Operator, b.Flags, flags, nil)
		equal(t, "as of", b.AsOf, size, nil)
	}
	b, err := source.Builder(t.Context(), ID("magpie"))
	if err != nil {
		t.Fatal(err)
	}
	var evidence []string
	for _, row := range b.Copying[0].Outputs {
		evidence = append(evidence, label(row.Key)+" "+string(row.Shape))
	}
	slices.Sort(evidence)
	equal(t, "evidence", evidence, []string{
		"dated-0 split", "dated-1 split", "dated-2 split", "dated-3 split", "dated-4 split", "dated-5 split",
	}, nil)
}

// label is the name in a store path.
func label(key string) string { return key[len("/nix/store/")+33:] }

func equal[T any](t *testing.T, what string, got, want T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
