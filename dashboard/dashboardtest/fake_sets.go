package dashboardtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// Changes implements dashboard.Source.
func (f *Fake) Changes(ctx context.Context, q dashboard.ChangeQuery) (page []dashboard.VerdictChange, next string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var of *set
	if q.Set != "" {
		if of = f.sets[q.Set]; of == nil {
			return nil, "", dashboard.ErrNotFound
		}
	}
	list := []dashboard.VerdictChange{}
	for key, o := range f.outputs {
		if of != nil && of.member(key) == nil || !f.maintains(key, q.Maintainer) ||
			q.Ecosystem != "" && q.Ecosystem != o.row.Ecosystem || q.Project != "" && !strings.HasPrefix(key, q.Project+"/") || !f.isOf(key, q.Ecosystem, q.Package) {
			continue
		}
		for _, c := range o.history {
			if c.From == api.Diverged || c.To == api.Diverged {
				list = append(list, o.changed(c, turned(c)))
			}
		}
	}
	list = f.newest(list, len(list))
	if q.Cursor != "" {
		var index uint64
		var born int
		if _, err := fmt.Sscanf(q.Cursor, "%d.%d", &index, &born); err != nil {
			return nil, "", dashboard.ErrNotFound
		}
		list = slices.DeleteFunc(list, func(c dashboard.VerdictChange) bool {
			return c.Index > index || c.Index == index && f.outputs[c.Key].born <= born
		})
	}
	if len(list) > q.Limit {
		list = list[:q.Limit]
		last := list[q.Limit-1]
		next = fmt.Sprintf("%d.%d", last.Index, f.outputs[last.Key].born)
	}
	return list, next, ctx.Err()
}

func turned(c dashboard.Change) api.ChangeKind {
	switch c.To {
	case api.Diverged:
		return api.ChangeDiverged
	case api.Reproduced:
		return api.ChangeFixed
	default:
		return api.ChangeUndecided
	}
}

func (o *output) changed(c dashboard.Change, kind api.ChangeKind) dashboard.VerdictChange {
	return dashboard.VerdictChange{Key: o.row.Key, Ecosystem: o.row.Ecosystem, Build: o.row.Build, Change: c, Kind: kind}
}

// at is the verdict as of an entry.
func (o *output) at(index uint64) api.Verdict {
	verdict := api.Unbuilt
	if o != nil {
		for _, c := range o.history {
			if c.Index <= index {
				verdict = c.To
			}
		}
	}
	return verdict
}

// newest cuts a list to its newest changes.
func (f *Fake) newest(list []dashboard.VerdictChange, limit int) []dashboard.VerdictChange {
	slices.SortFunc(list, func(a, b dashboard.VerdictChange) int {
		return cmp.Or(cmp.Compare(b.Index, a.Index), cmp.Compare(f.outputs[a.Key].born, f.outputs[b.Key].born))
	})
	return list[:min(len(list), limit)]
}

func (s *set) member(key string) *Member {
	if i := slices.IndexFunc(s.members, func(m Member) bool { return m.Key == key }); i >= 0 {
		return &s.members[i]
	}
	return nil
}

// at returns the member in the place of another, if that has one.
func (s *set) at(m *Member) *Member {
	if s == nil || m.Attribute == "" {
		return nil
	}
	if i := slices.IndexFunc(s.members, func(o Member) bool { return o.Attribute == m.Attribute && o.System == m.System }); i >= 0 {
		return &s.members[i]
	}
	return nil
}

// placeOf returns the member in the place of another: the same one, if it is there. One
// without an attribute has a place for itself.
func (s *set) placeOf(m *Member) *Member {
	if same := s.member(m.Key); same != nil && same.Attribute == m.Attribute && same.System == m.System {
		return same
	}
	return s.at(m)
}

// published lists a set's revisions, oldest first.
func (f *Fake) published(name string) ([]*set, error) {
	newest := f.sets[name]
	if newest == nil {
		return nil, dashboard.ErrNotFound
	}
	return append(slices.Clone(f.earlier[name]), newest), nil
}

// SetChanges implements dashboard.Source.
func (f *Fake) SetChanges(ctx context.Context, name string, limit int) ([]dashboard.VerdictChange, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revisions, err := f.published(name)
	if err != nil {
		return nil, err
	}
	list := []dashboard.VerdictChange{}
	for i, s := range revisions {
		until := f.size
		if i+1 < len(revisions) {
			until = revisions[i+1].Index
		}
		for m := range s.members {
			m := &s.members[m]
			o := f.outputs[m.Key]
			if o == nil {
				continue
			}
			before := f.cameFor(revisions[:i+1], m)
			for _, c := range o.history {
				if c.Index < s.Index || c.Index >= until {
					continue
				}
				change := o.changed(c, turned(c))
				change.Attribute, change.Version, change.System = m.Attribute, m.Version, m.System
				was := api.Unbuilt
				if before != "" {
					was = f.outputs[before].at(c.Index)
				}
				switch {
				case c.To == api.Diverged && was == api.Reproduced:
					change.Kind, change.Was = api.ChangeRegressed, before
				case c.To == api.Diverged || c.From == api.Diverged:
				case c.To == api.Reproduced && was == api.Diverged:
					change.Kind, change.Was = api.ChangeFixed, before
				default:
					continue
				}
				list = append(list, change)
			}
		}
	}
	return f.newest(list, limit), ctx.Err()
}

// cameFor returns the key of the output in whose place a member of the newest of some
// revisions came; "" if there was none.
func (f *Fake) cameFor(revisions []*set, m *Member) string {
	for i := len(revisions) - 1; i > 0; i-- {
		if revisions[i-1].member(m.Key) != nil {
			continue // it came earlier
		}
		if was := revisions[i-1].at(m); was != nil {
			return was.Key
		}
		break
	}
	return ""
}

// SetRevisions implements dashboard.Source.
func (f *Fake) SetRevisions(ctx context.Context, name string, limit int) ([]dashboard.SetRevision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revisions, err := f.published(name)
	if err != nil {
		return nil, err
	}
	list := []dashboard.SetRevision{}
	for i := len(revisions) - 1; i >= 0 && len(list) < limit; i-- {
		list = append(list, f.difference(revisions, i).SetRevision)
	}
	return list, ctx.Err()
}

// SetDifference implements dashboard.Source.
func (f *Fake) SetDifference(ctx context.Context, name, revision string, limit int) (*dashboard.SetDifference, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revisions, err := f.published(name)
	if err != nil {
		return nil, err
	}
	for i, s := range slices.Backward(revisions) {
		if revision == "" || s.Revision == revision {
			d := f.difference(revisions, i)
			for _, list := range []*[]dashboard.SetChange{&d.Regressions, &d.Fixes, &d.Divergences, &d.Additions, &d.Removals} {
				slices.SortFunc(*list, func(a, b dashboard.SetChange) int {
					return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.System, b.System), cmp.Compare(a.Key, b.Key))
				})
				*list = (*list)[:min(len(*list), limit)]
			}
			return d, ctx.Err()
		}
	}
	return nil, dashboard.ErrNotFound
}

// difference compares the i-th revision with the one before.
func (f *Fake) difference(revisions []*set, i int) *dashboard.SetDifference {
	s := revisions[i]
	d := &dashboard.SetDifference{
		SetRevision: dashboard.SetRevision{Set: s.Set}, Regressions: []dashboard.SetChange{}, Fixes: []dashboard.SetChange{},
		Divergences: []dashboard.SetChange{}, Additions: []dashboard.SetChange{}, Removals: []dashboard.SetChange{},
	}
	before := &set{}
	if i > 0 {
		before = revisions[i-1]
		d.Before = before.Revision
	}
	for m := range s.members {
		m := &s.members[m]
		row := f.memberRow(s, m)
		switch row.Verdict {
		case api.Reproduced:
			d.Reproduced++
		case api.Diverged:
			d.Diverged++
		case api.Single:
			d.Single++
		default:
			d.Unbuilt++
		}
		if was := before.placeOf(m); was == nil || was.Key != m.Key {
			f.came(d, before, m, row)
		}
	}
	d.Compared = d.Reproduced + d.Diverged
	for m := range before.members {
		m := &before.members[m]
		if s.placeOf(m) == nil {
			d.Removed++
			d.Removals = append(d.Removals, change(m, f.memberRow(before, m)))
		}
	}
	return d
}

// came notes a member that the revision before did not have.
func (f *Fake) came(d *dashboard.SetDifference, before *set, m *Member, row dashboard.OutputRow) {
	c := change(m, row)
	was := before.at(m)
	if was == nil {
		d.Added++
		if row.Verdict == api.Diverged {
			d.Divergences = append(d.Divergences, c)
		} else {
			d.Additions = append(d.Additions, c)
		}
		return
	}
	old := f.memberRow(before, was)
	c.Was = &old
	d.Changed++
	switch {
	case old.Verdict == api.Reproduced && row.Verdict == api.Diverged:
		d.Regressed++
		d.Regressions = append(d.Regressions, c)
	case old.Verdict == api.Diverged && row.Verdict == api.Reproduced:
		d.Fixed++
		d.Fixes = append(d.Fixes, c)
	case row.Verdict == api.Diverged:
		d.Divergences = append(d.Divergences, c)
	}
}

func change(m *Member, row dashboard.OutputRow) dashboard.SetChange {
	return dashboard.SetChange{OutputRow: row, Attribute: m.Attribute, Version: m.Version, System: m.System}
}

func (f *Fake) memberRow(s *set, m *Member) dashboard.OutputRow {
	row := f.rowOf(m.Key)
	row.Ecosystem = s.ecosystem
	return row
}

// Excuses implements dashboard.Source.
func (f *Fake) Excuses(ctx context.Context, from, to string, limit int) (*dashboard.Excuses, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, err := f.revisionAt(from)
	if err != nil {
		return nil, err
	}
	after, err := f.revisionAt(to)
	if err != nil {
		return nil, err
	}
	e := &dashboard.Excuses{From: before.Set, To: after.Set, LedgerSize: f.size, Excuses: []dashboard.Excuse{}}
	for m := range after.members {
		m := &after.members[m]
		was := before.placeOf(m)
		if was != nil && was.Key == m.Key {
			continue
		}
		e.Changed++
		excuse := dashboard.Excuse{SetChange: change(m, f.memberRow(after, m))}
		if was != nil {
			old := f.memberRow(before, was)
			excuse.Was = &old
		}
		if excuse.Verdict == api.Reproduced || excuse.Was != nil && excuse.Was.Verdict != api.Reproduced {
			continue
		}
		e.Blocked++
		if excuse.Waits = excuse.Verdict != api.Diverged; excuse.Waits {
			e.Waiting++
		}
		e.Excuses = append(e.Excuses, excuse)
	}
	rank := func(x *dashboard.Excuse) int {
		switch {
		case x.Waits:
			return 2
		case x.Was == nil:
			return 1
		}
		return 0
	}
	slices.SortFunc(e.Excuses, func(a, b dashboard.Excuse) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.System, b.System), cmp.Compare(a.Key, b.Key))
	})
	e.Excuses = e.Excuses[:min(len(e.Excuses), limit)]
	return e, ctx.Err()
}

// revisionAt returns the revision that is written SET@REVISION.
func (f *Fake) revisionAt(written string) (*set, error) {
	name, revision, found := strings.Cut(written, "@")
	revisions, err := f.published(name)
	if err != nil || !found {
		return nil, dashboard.ErrNotFound
	}
	for _, s := range slices.Backward(revisions) {
		if revision == "" || s.Revision == revision {
			return s, nil
		}
	}
	return nil, dashboard.ErrNotFound
}
