package dashboardtest

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/ecosystem"
)

// A packaged output is one with the package that its names say.
type packaged struct {
	ecosystem.Package
	in  string // ecosystem
	row dashboard.OutputRow
}

// packaged lists all outputs that anybody ever named, by key.
func (f *Fake) packaged() []packaged {
	rows := map[string]dashboard.OutputRow{}
	for name, newest := range f.sets {
		for _, s := range append(slices.Clone(f.earlier[name]), newest) {
			for i := range s.members {
				rows[s.members[i].Key] = f.memberRow(s, &s.members[i])
			}
		}
	}
	for key := range f.outputs {
		rows[key] = f.rowOf(key)
	}
	list := make([]packaged, 0, len(rows))
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		row := rows[key]
		list = append(list, packaged{ecosystem.Of(row.Ecosystem).Package(row.Build, key), row.Ecosystem, row})
	}
	return list
}

// isOf reports whether an output that somebody claims is of a package; any is if name is "".
func (f *Fake) isOf(key, in, name string) bool {
	row := f.rowOf(key)
	return name == "" || (in == "" || in == row.Ecosystem) && ecosystem.Of(row.Ecosystem).Package(row.Build, key).Name == name
}

// Packages implements dashboard.Source.
func (f *Fake) Packages(ctx context.Context, q dashboard.PackageQuery) (*dashboard.PackagePage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	type id struct{ name, in string }
	found, versions := map[id]*api.PackageRow{}, map[id]map[string]bool{}
	for _, p := range f.packaged() {
		at := id{p.Name, p.in}
		if !strings.Contains(strings.ToLower(p.Name), strings.ToLower(q.Text)) {
			continue
		}
		if found[at] == nil {
			found[at], versions[at] = &api.PackageRow{Name: p.Name, Ecosystem: p.in}, map[string]bool{}
		}
		found[at].Outputs++
		versions[at][p.Version] = true
		found[at].Versions = uint64(len(versions[at]))
		if p.row.Verdict == api.Diverged {
			found[at].Diverged++
		}
	}
	page := &dashboard.PackagePage{Packages: []api.PackageRow{}}
	for _, at := range slices.SortedFunc(maps.Keys(found), func(a, b id) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.in, b.in)) }) {
		page.Packages = append(page.Packages, *found[at])
	}
	if q.Cursor != "" {
		i := slices.IndexFunc(page.Packages, func(p api.PackageRow) bool { return p.Name+"@"+p.Ecosystem == q.Cursor })
		if i < 0 {
			return nil, dashboard.ErrNotFound
		}
		page.Packages = page.Packages[i+1:]
	}
	if len(page.Packages) > q.Limit {
		page.Packages = page.Packages[:q.Limit]
		last := page.Packages[q.Limit-1]
		page.Next = last.Name + "@" + last.Ecosystem
	}
	return page, ctx.Err()
}

// Package implements dashboard.Source.
func (f *Fake) Package(ctx context.Context, q dashboard.VersionsQuery) (*dashboard.Package, error) {
	f.mu.Lock()
	all := f.packaged()
	var systems []string
	for _, p := range all {
		if p.Name == q.Name {
			systems = append(systems, p.in)
		}
	}
	slices.Sort(systems)
	systems = slices.Compact(systems)
	in := q.Ecosystem
	if in == "" && len(systems) > 0 {
		in = systems[0]
	}
	if !slices.Contains(systems, in) {
		f.mu.Unlock()
		return nil, dashboard.ErrNotFound
	}
	found := &dashboard.Package{Name: q.Name, Ecosystem: in, Also: slices.DeleteFunc(systems, func(name string) bool { return name == in }), Sets: []api.PackagePlan{}}
	outputs := slices.DeleteFunc(all, func(p packaged) bool { return p.Name != q.Name || p.in != in })
	f.planned(found, outputs)
	outputs = slices.DeleteFunc(outputs, func(p packaged) bool { return p.row.Verdict == api.Unbuilt && !f.isMember(p.row.Key) })
	versions := f.versions(outputs)
	found.Total = uint64(len(versions))
	found.Newest.Systems, found.Newest.Outputs, found.Versions = []api.PackageSystem{}, []dashboard.OutputRow{}, versions
	if len(versions) > 0 {
		f.describe(&found.Newest, versions[max(0, slices.IndexFunc(versions, func(v api.PackageVersion) bool { return v.Compared() > 0 }))], outputs)
		found.Explanation = found.Explain(versions[0].Version)
	} else {
		found.Explanation = found.Explain("")
	}
	f.mu.Unlock()
	if q.Cursor != "" {
		i := slices.IndexFunc(versions, func(v api.PackageVersion) bool { return "@"+v.Version == q.Cursor })
		if i < 0 {
			return nil, dashboard.ErrNotFound
		}
		found.Versions = versions[i+1:]
	}
	if len(found.Versions) > q.Limit {
		found.Versions = found.Versions[:q.Limit]
		found.Next = "@" + found.Versions[q.Limit-1].Version
	}
	page, err := f.Divergences(ctx, dashboard.DivergenceQuery{Ecosystem: in, Package: q.Name, Limit: 100})
	if err != nil {
		return nil, err
	}
	found.Divergences, found.Diverged = page.Divergences, page.Total
	return found, ctx.Err()
}

func (f *Fake) isMember(key string) bool {
	for _, s := range f.sets {
		if s.member(key) != nil {
			return true
		}
	}
	return false
}

// planned adds what package sets say of a package's outputs.
func (f *Fake) planned(p *dashboard.Package, outputs []packaged) {
	for _, name := range slices.Sorted(maps.Keys(f.sets)) {
		for _, m := range f.sets[name].members {
			if slices.ContainsFunc(outputs, func(o packaged) bool { return o.row.Key == m.Key }) {
				p.Sets = append(p.Sets, api.PackagePlan{Set: name, Attribute: m.Attribute, Version: m.Version, System: m.System, Maintainers: m.Maintainers, Outputs: 1})
			}
		}
	}
	slices.SortStableFunc(p.Sets, func(a, b api.PackagePlan) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.System, b.System), cmp.Compare(a.Version, b.Version))
	})
	for i := len(p.Sets) - 1; i > 0; i-- {
		before, same := &p.Sets[i-1], p.Sets[i]
		same.Outputs = before.Outputs
		if reflect.DeepEqual(*before, same) {
			before.Outputs += p.Sets[i].Outputs
			p.Sets = slices.Delete(p.Sets, i, i+1)
		}
	}
}

// systemOf is the system that a name says, or else any revision of a package set.
func (f *Fake) systemOf(p packaged) string {
	system := p.System
	for name, s := range f.sets {
		for _, revision := range append(slices.Clone(f.earlier[name]), s) {
			if m := revision.member(p.row.Key); m != nil && system == "" {
				system = m.System
			}
		}
	}
	return system
}

// versions counts outputs by version and system, newest first.
func (f *Fake) versions(outputs []packaged) []api.PackageVersion {
	at := map[string]map[string]*api.VerdictCounts{}
	for _, o := range outputs {
		if at[o.Version] == nil {
			at[o.Version] = map[string]*api.VerdictCounts{}
		}
		system := f.systemOf(o)
		if at[o.Version][system] == nil {
			at[o.Version][system] = &api.VerdictCounts{}
		}
		at[o.Version][system].Add(countOf(o.row.Verdict))
	}
	versions := []api.PackageVersion{}
	for version, systems := range at {
		v := api.PackageVersion{Version: version}
		for _, system := range slices.Sorted(maps.Keys(systems)) {
			v.Add(*systems[system])
			v.Systems = append(v.Systems, api.PackageSystem{System: system, VerdictCounts: *systems[system]})
		}
		versions = append(versions, v)
	}
	slices.SortFunc(versions, func(a, b api.PackageVersion) int { return ecosystem.CompareVersions(b.Version, a.Version) })
	return versions
}

func countOf(verdict api.Verdict) (c api.VerdictCounts) {
	switch verdict {
	case api.Reproduced:
		c.Reproduced = 1
	case api.Diverged:
		c.Diverged = 1
	case api.Single:
		c.Single = 1
	default:
		c.Unbuilt = 1
	}
	return c
}

// describe describes a version by its outputs.
func (f *Fake) describe(s *api.PackageState, version api.PackageVersion, outputs []packaged) {
	s.PackageVersion = version
	operators := map[string]bool{}
	for _, o := range outputs {
		if o.Version != version.Version {
			continue
		}
		s.Outputs = append(s.Outputs, o.row)
		known := f.outputs[o.row.Key]
		switch o.row.Verdict {
		case api.Reproduced:
			for _, c := range known.claims {
				if c.Counts {
					operators[c.Operator] = true
				}
			}
		case api.Diverged:
			if since := known.history[len(known.history)-1].ReceivedAt; s.Since.IsZero() || since.Before(s.Since) {
				s.Since = since
			}
		case api.Unbuilt, api.Single:
		}
	}
	s.Operators = uint64(len(operators))
}

// Maintainers implements dashboard.Source.
func (f *Fake) Maintainers(ctx context.Context, q dashboard.MaintainerQuery) (*dashboard.MaintainerPage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := map[string]bool{}
	for _, s := range f.sets {
		for _, m := range s.members {
			for _, name := range m.Maintainers {
				if name > q.Cursor && strings.Contains(strings.ToLower(name), strings.ToLower(q.Text)) {
					names[name] = true
				}
			}
		}
	}
	page := &dashboard.MaintainerPage{Maintainers: []api.MaintainerRow{}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if len(page.Maintainers) == q.Limit {
			page.Next = page.Maintainers[q.Limit-1].Name
			break
		}
		page.Maintainers = append(page.Maintainers, api.MaintainerRow{Name: name, VerdictCounts: f.maintained(name)})
	}
	return page, ctx.Err()
}

// maintained counts a maintainer's outputs by verdict.
func (f *Fake) maintained(name string) (counts api.VerdictCounts) {
	seen := map[string]bool{}
	for _, s := range f.sets {
		for i := range s.members {
			m := &s.members[i]
			if slices.Contains(m.Maintainers, name) && !seen[m.Key] {
				seen[m.Key] = true
				counts.Add(countOf(f.memberRow(s, m).Verdict))
			}
		}
	}
	return counts
}

// Maintainer implements dashboard.Source.
func (f *Fake) Maintainer(ctx context.Context, name string, limit int) (*dashboard.Maintainer, error) {
	open, err := f.Divergences(ctx, dashboard.DivergenceQuery{Maintainer: name, Limit: 1000})
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &dashboard.Maintainer{
		MaintainerRow: api.MaintainerRow{Name: name, VerdictCounts: f.maintained(name)},
		Regressions:   []dashboard.Divergence{}, Divergences: []dashboard.Divergence{}, Unconfirmed: []api.Unconfirmed{},
	}
	for _, set := range slices.Sorted(maps.Keys(f.sets)) {
		f.waiting(m, set)
	}
	if len(m.Sets) == 0 {
		return nil, dashboard.ErrNotFound
	}
	for _, d := range open.Divergences {
		list := &m.Divergences
		if d.Regressed != "" {
			list = &m.Regressions
		}
		if len(*list) < limit {
			*list = append(*list, d)
		}
	}
	slices.SortFunc(m.Unconfirmed, func(a, b api.Unconfirmed) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Set, b.Set), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.System, b.System), cmp.Compare(a.Key, b.Key))
	})
	m.Unconfirmed = m.Unconfirmed[:min(len(m.Unconfirmed), limit)]
	return m, ctx.Err()
}

// waiting adds to a maintainer what a package set says is theirs and waits to be built.
func (f *Fake) waiting(of *dashboard.Maintainer, set string) {
	revisions, _ := f.published(set) // it is there
	newest := revisions[len(revisions)-1]
	named := false
	for i := range newest.members {
		m := &newest.members[i]
		if !slices.Contains(m.Maintainers, of.Name) {
			continue
		}
		named = true
		row := f.memberRow(newest, m)
		if row.Verdict != api.Unbuilt && row.Verdict != api.Single {
			continue
		}
		index, since := f.since(revisions, m)
		of.Unconfirmed = append(of.Unconfirmed, api.Unconfirmed{OutputRow: row, Set: set, Attribute: m.Attribute, Version: m.Version, System: m.System, Since: since, Revision: index})
	}
	if named {
		of.Sets = append(of.Sets, set)
	}
}

// since is when a member of the newest of some revisions came, as the revisions say it now.
func (f *Fake) since(revisions []*set, m *Member) (index uint64, at time.Time) {
	for _, s := range slices.Backward(revisions) {
		same := s.member(m.Key)
		if same == nil || same.Attribute != m.Attribute || same.System != m.System || same.Version != m.Version ||
			!slices.Equal(same.Maintainers, m.Maintainers) || !slices.Equal(same.Inputs, m.Inputs) {
			break
		}
		index, at = s.Index, s.PublishedAt
	}
	return index, at
}
