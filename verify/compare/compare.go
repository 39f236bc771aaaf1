package compare

import (
	"cmp"
	"slices"
	"strings"

	"repronet.dev/ecosystem"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/policy"
)

// A State is what evidence on an output comes to under a policy.
type State string

// The states.
const (
	// Reproduced: as many operators as the policy asks for agree, and none that it hears
	// dissents.
	Reproduced State = "reproduced"
	// Diverged: operators contradict each other, or agree on another digest than the
	// list has.
	Diverged State = "diverged"
	// Undecided: there is not enough evidence for either.
	Undecided State = "undecided"
)

// StateOf returns the state that a decision stands for. An output that a policy accepts
// with few claims is undecided all the same; dissent that it accepts is none.
func StateOf(d policy.Decision) State {
	switch {
	case d.Finding == verify.Accepted, d.Finding == verify.Diverged && d.Action == policy.Accept:
		return Reproduced
	case d.Finding == verify.Diverged, d.Finding == verify.Mismatch:
		return Diverged
	default:
		return Undecided
	}
}

// A Subject is an output on one side.
type Subject struct {
	verify.Output
	closure.Place
	State State
}

// subjects returns the outputs of a report in its order.
func subjects(report *closure.Report) []Subject {
	subjects := make([]Subject, len(report.Results))
	for i := range report.Results {
		r := &report.Results[i]
		subjects[i] = Subject{r.Output, r.Place, StateOf(r.Decision)}
	}
	return subjects
}

// A Class is what became of an output.
type Class string

// The classes, in the order in which they are told.
const (
	// Regressed: reproduced in BASE, diverged in HEAD.
	Regressed Class = "regressed"
	// Fixed: diverged in BASE, reproduced in HEAD.
	Fixed Class = "fixed"
	// New: in HEAD only.
	New Class = "new"
	// StillDiverged: diverged in both.
	StillDiverged Class = "still-diverged"
	// NotBuilt: in both, without enough evidence in HEAD.
	NotBuilt Class = "not-built"
	// Uncompared: in both, with enough evidence in HEAD and not in BASE, so that it is
	// neither better nor worse.
	Uncompared Class = "uncompared"
	// Removed: in BASE only.
	Removed Class = "removed"
	// Unchanged: reproduced in both.
	Unchanged Class = "unchanged"
)

// Classes returns all classes in their order.
func Classes() []Class {
	return []Class{Regressed, Fixed, New, StillDiverged, NotBuilt, Uncompared, Removed, Unchanged}
}

// String writes a class for people.
func (c Class) String() string { return strings.ReplaceAll(string(c), "-", " ") }

// A Change is what became of one output.
type Change struct {
	Class Class
	// Name is what both sides are called: the attribute, or the place in the terms of
	// the ecosystem. System is "" where neither list says it.
	Name, System string
	// Base and Head are the places of the output in the two lists, -1 where it is in one
	// only.
	Base, Head int
	// Same tells that it is one output, which both lists have.
	Same bool
}

// A Comparison is what became of all outputs.
type Comparison struct {
	// Changes are by class, then by name.
	Changes []Change
	Counts  Counts
}

// Reports says what became of the outputs of one report in another. Where the policy, by which
// both are judged, asks what was in the place of an output of head, that output is judged
// again.
func Reports(p *policy.Policy, base, head *closure.Report) *Comparison {
	was, is := subjects(base), subjects(head)
	of := match(was, is)
	for i, at := range of {
		r := &head.Results[i]
		if at < 0 || was[at].Output == is[i].Output || !p.AsksBefore(&r.Decision) {
			continue
		}
		r.Case.Before = append(slices.Clip(r.Case.Before), base.Results[at].Case.Evidence)
		r.Decision = p.Judge(r.Case)
		is[i].State = StateOf(r.Decision)
	}
	return compareMatched(was, is, of)
}

// Compare says what became of the outputs of base in head.
func Compare(base, head []Subject) *Comparison { return compareMatched(base, head, match(base, head)) }

func compareMatched(base, head []Subject, of []int) *Comparison {
	c := &Comparison{Changes: make([]Change, 0, len(head))}
	kept := make([]bool, len(base))
	for i := range head {
		change := Change{Base: of[i], Head: i}
		var before *Subject
		if change.Base >= 0 {
			before = &base[change.Base]
			kept[change.Base] = true
		}
		c.add(change, before, &head[i])
	}
	for i := range base {
		if !kept[i] {
			c.add(Change{Base: i, Head: -1}, &base[i], nil)
		}
	}
	c.Counts.Base, c.Counts.Head = len(base), len(head)
	slices.SortFunc(c.Changes, compareChanges)
	return c
}

func compareChanges(a, b Change) int {
	if a.Class != b.Class {
		order := Classes()
		return cmp.Compare(slices.Index(order, a.Class), slices.Index(order, b.Class))
	}
	if order := strings.Compare(a.Name, b.Name); order != 0 {
		return order
	}
	return cmp.Or(strings.Compare(a.System, b.System), cmp.Compare(a.Head, b.Head), cmp.Compare(a.Base, b.Base))
}

func (c *Comparison) add(change Change, base, head *Subject) {
	named := head
	if head == nil {
		named = base
	}
	change.Class = classify(base, head)
	change.Name, change.System = named.name(), named.System
	change.Same = base != nil && head != nil && base.Output == head.Output
	c.Changes = append(c.Changes, change)
	c.Counts.add(&change, head)
}

func classify(base, head *Subject) Class {
	switch {
	case base == nil:
		return New
	case head == nil:
		return Removed
	case head.State == Undecided:
		return NotBuilt
	case base.State == Undecided:
		return Uncompared
	case base.State == Reproduced && head.State == Diverged:
		return Regressed
	case base.State == Diverged && head.State == Reproduced:
		return Fixed
	case head.State == Diverged:
		return StillDiverged
	default:
		return Unchanged
	}
}

// name is what people call an output whatever its version is.
func (s *Subject) name() string {
	if s.Attribute == "" {
		place, _ := ecosystem.Of(s.Ecosystem).Place(s.Key)
		return place
	}
	if s.Name == "" || s.Name == "out" {
		return s.Attribute
	}
	return s.Attribute + "^" + s.Name
}
