package notify

import (
	"slices"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/ecosystem"
)

// kinds are those of changes, the most urgent first.
func kinds() []api.ChangeKind {
	return []api.ChangeKind{api.ChangeRegressed, api.ChangeDiverged, api.ChangeFixed, api.ChangeUndecided}
}

// wanted returns what a subscription is told of a turn, which is of a package; nil: nothing. Who is told of a package set hears what the change was in that set;
// others hear the most urgent thing that it was, by itself or in any set that concerns them.
func wanted(of *state.Subscription, turn *query.Turn, pkg string) *api.VerdictChange {
	var heard *api.VerdictChange
	hear := func(change *api.VerdictChange) {
		if change.Kind != "" && slices.Contains(of.Kinds, change.Kind) && (heard == nil || urgency(change.Kind) < urgency(heard.Kind)) {
			heard = change
		}
	}
	if of.Package != "" && of.Package != pkg && !slices.ContainsFunc(turn.In, func(in query.SetTurn) bool { return in.Attribute == of.Package }) {
		return nil
	}
	for i := range turn.In {
		in := &turn.In[i]
		if (of.Set == "" || in.Set == of.Set) && (of.Maintainer == "" || slices.Contains(in.Maintainers, of.Maintainer)) {
			hear(&in.VerdictChange)
		}
	}
	if of.Set == "" && of.Maintainer == "" {
		hear(&turn.VerdictChange)
	}
	return heard
}

func urgency(kind api.ChangeKind) int { return slices.Index(kinds(), kind) }

// packageOf returns the name of the package that a change is of, as its page has it.
func packageOf(change *api.VerdictChange) string {
	return ecosystem.Of(change.Ecosystem).Package(change.Build, change.Key).Name
}

// interests find those who may want to be told of a turn, however many others there are.
type interests struct {
	sets, packages, maintainers map[string][]*collection
	everything                  []*collection
}

func newInterests(all []*collection) *interests {
	x := &interests{map[string][]*collection{}, map[string][]*collection{}, map[string][]*collection{}, nil}
	for _, c := range all {
		switch {
		case c.of.Set != "":
			x.sets[c.of.Set] = append(x.sets[c.of.Set], c)
		case c.of.Package != "":
			x.packages[c.of.Package] = append(x.packages[c.of.Package], c)
		case c.of.Maintainer != "":
			x.maintainers[c.of.Maintainer] = append(x.maintainers[c.of.Maintainer], c)
		default:
			x.everything = append(x.everything, c)
		}
	}
	return x
}

// tell adds a turn to what those are told who want it.
func (x *interests) tell(turn *query.Turn) {
	pkg := packageOf(&turn.VerdictChange)
	add := func(list []*collection) {
		for _, c := range list {
			c.add(turn, pkg)
		}
	}
	add(x.everything)
	add(x.packages[pkg])
	for i := range turn.In {
		in := &turn.In[i]
		add(x.sets[in.Set])
		add(x.packages[in.Attribute])
		for _, maintainer := range in.Maintainers {
			add(x.maintainers[maintainer])
		}
	}
}
