package notify

import (
	"testing"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
)

const hello = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.1"

// newTurn is a change of hello by itself, and in package sets.
func newTurn(index uint64, kind api.ChangeKind, in ...query.SetTurn) *query.Turn {
	change := api.VerdictChange{Key: hello, Ecosystem: "nix", Build: hello + ".drv", Kind: kind}
	change.Index, change.From, change.To = index, "reproduced", "diverged"
	for i := range in {
		of := change
		of.Kind, of.Attribute, of.Version, of.Was = in[i].Kind, in[i].Attribute, in[i].Version, in[i].Was
		in[i].VerdictChange = of
	}
	return &query.Turn{VerdictChange: change, In: in}
}

func in(set, attribute string, kind api.ChangeKind, maintainers ...string) query.SetTurn {
	return query.SetTurn{Set: set, Maintainers: maintainers, VerdictChange: api.VerdictChange{Attribute: attribute, Kind: kind}}
}

// TestWanted: who waits for what hears it, in the most urgent way that concerns them, and
// nobody else does.
func TestWanted(t *testing.T) {
	all := kinds()
	turn := newTurn(1, api.ChangeDiverged,
		in("stable", "hello", api.ChangeDiverged, "anna"), in("unstable", "hi", api.ChangeRegressed, "anna", "bert"), in("other", "", "", "cleo"))
	for name, c := range map[string]struct {
		of   state.Subscription
		want api.ChangeKind // "": nothing
		set  string         // whose attribute the change has
	}{
		"a set":                         {state.Subscription{Set: "stable", Kinds: all}, api.ChangeDiverged, "hello"},
		"another":                       {state.Subscription{Set: "unstable", Kinds: all}, api.ChangeRegressed, "hi"},
		"a set that did not change":     {state.Subscription{Set: "other", Kinds: all}, "", ""},
		"a set without it":              {state.Subscription{Set: "none", Kinds: all}, "", ""},
		"of two sets the more urgent":   {state.Subscription{Maintainer: "anna", Kinds: all}, api.ChangeRegressed, "hi"},
		"no regressions wanted":         {state.Subscription{Maintainer: "anna", Kinds: []api.ChangeKind{api.ChangeDiverged}}, api.ChangeDiverged, "hello"},
		"a maintainer of one":           {state.Subscription{Maintainer: "bert", Kinds: all}, api.ChangeRegressed, "hi"},
		"a maintainer, nothing changed": {state.Subscription{Maintainer: "cleo", Kinds: all}, "", ""},
		"half of a maintainer's name":   {state.Subscription{Maintainer: "ann", Kinds: all}, "", ""},
		"an attribute":                  {state.Subscription{Package: "hi", Kinds: all}, api.ChangeRegressed, "hi"},
		"a name without its version":    {state.Subscription{Package: "hello", Kinds: []api.ChangeKind{api.ChangeDiverged}}, api.ChangeDiverged, "hello"},
		"half of a name":                {state.Subscription{Package: "hell", Kinds: all}, "", ""},
		"everything":                    {state.Subscription{Kinds: all}, api.ChangeRegressed, "hi"},
		"everything that is fixed":      {state.Subscription{Kinds: []api.ChangeKind{api.ChangeFixed}}, "", ""},
	} {
		got := wanted(&c.of, turn, packageOf(&turn.VerdictChange))
		switch {
		case (got == nil) != (c.want == ""):
			t.Errorf("%s: heard %v", name, got)
		case got != nil && (got.Kind != c.want || got.Attribute != c.set):
			t.Errorf("%s: heard %s of %s, want %s of %s", name, got.Kind, got.Attribute, c.want, c.set)
		}
	}
	alone := newTurn(1, api.ChangeFixed)
	if got := wanted(&state.Subscription{Package: "hello", Kinds: all}, alone, packageOf(&alone.VerdictChange)); got == nil || got.Kind != api.ChangeFixed {
		t.Errorf("a package of no set: heard %v", got)
	}
	if got := wanted(&state.Subscription{Kinds: all}, newTurn(1, "", in("stable", "hello", api.ChangeFixed)), ""); got == nil || got.Kind != api.ChangeFixed {
		t.Errorf("a fix for a set alone: heard %v", got)
	}
}

// TestInterests: who is found to be told of a turn are those who want it, each once.
func TestInterests(t *testing.T) {
	turns := []*query.Turn{
		newTurn(1, api.ChangeDiverged, in("stable", "hello", api.ChangeDiverged, "anna", "bert"), in("unstable", "hi", api.ChangeRegressed, "anna")),
		newTurn(2, "", in("stable", "hello", api.ChangeFixed, "bert")),
		newTurn(3, api.ChangeFixed),
	}
	turns[2].Ecosystem, turns[2].Build = "debian", "bash@5.2.15-2+b7/amd64"
	turns[2].Key = turns[2].Build + "^bash_5.2.15-2+b7_amd64.deb"
	var all []*collection
	for _, of := range []state.Subscription{
		{Set: "stable"},
		{Set: "unstable"},
		{Set: "none"},
		{Package: "hello"},
		{Package: "hi"},
		{Package: "bash"},
		{Package: "bash/amd64"},
		{Package: "bas"},
		{Maintainer: "anna"},
		{Maintainer: "bert"},
		{Maintainer: "cleo"},
		{},
	} {
		of.Kinds = kinds()
		all = append(all, &collection{of: &of, listed: map[api.ChangeKind][]api.VerdictChange{}})
	}
	interested := newInterests(all)
	for _, turn := range turns {
		interested.tell(turn)
	}
	for _, c := range all {
		want := 0
		for _, turn := range turns {
			if wanted(c.of, turn, packageOf(&turn.VerdictChange)) != nil {
				want++
			}
		}
		if c.count != want {
			t.Errorf("%+v: told %d times, want %d", c.of, c.count, want)
		}
	}
	if all[3].count != 2 || all[5].count != 1 || all[7].count != 0 || all[11].count != 3 {
		t.Errorf("hello %d, bash %d, bas %d, everything %d", all[3].count, all[5].count, all[7].count, all[11].count)
	}
}
