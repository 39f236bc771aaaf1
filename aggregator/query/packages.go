package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/ecosystem"
)

// Limits of what is said of one package.
const (
	maxCells       = 20_000 // versions and systems
	packageOutputs = 100    // of its newest version, which are listed
	packageRows    = 100    // of each other list
)

// Packages implements [dashboard.PackageSource].
func (q *Query) Packages(ctx context.Context, query dashboard.PackageQuery) (*dashboard.PackagePage, error) {
	t, release := q.store.Acquire()
	defer release()
	var behind store.Package
	if query.Cursor != "" {
		var found bool
		if behind.Name, behind.Ecosystem, found = cutLast(query.Cursor, "@"); !found {
			return nil, fmt.Errorf("cursor %.40q is not one that a page gave: %w", query.Cursor, dashboard.ErrNotFound)
		}
	}
	limit := min(max(query.Limit, 1), maxOutputs)
	found, err := t.Packages(ctx, query.Text, behind, limit+1)
	if err != nil {
		return nil, err
	}
	page := &dashboard.PackagePage{Packages: []api.PackageRow{}}
	if len(found) > limit {
		found = found[:limit]
		page.Next = found[limit-1].Name + "@" + found[limit-1].Ecosystem
	}
	for _, p := range found {
		page.Packages = append(page.Packages, api.PackageRow{
			Name: p.Name, Ecosystem: p.Ecosystem, Outputs: p.Outputs, Versions: p.Versions, Diverged: p.Diverged,
		})
	}
	return page, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// Package implements [dashboard.PackageSource].
func (q *Query) Package(ctx context.Context, query dashboard.VersionsQuery) (*dashboard.Package, error) {
	t, release := q.store.Acquire()
	defer release()
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	p, also, err := sameName(ctx, t, query)
	if err != nil {
		return nil, err
	}
	cells, err := t.PackageCells(ctx, p, w.Size, maxCells)
	if err != nil {
		return nil, err
	}
	versions := versionsOf(cells)
	of := &dashboard.Package{Name: p.Name, Ecosystem: p.Ecosystem, Also: also, Total: uint64(len(versions)), Sets: []api.PackagePlan{}}
	if of.Versions, of.Next, err = versionsBehind(versions, query.Cursor, min(max(query.Limit, 1), maxOutputs)); err != nil {
		return nil, err
	}
	// These do not need each other.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		of.Newest, err = q.newestVersion(ctx, t, p, versions, w.Size)
		return err
	})
	group.Go(func() error { return q.addDivergences(ctx, t, of) })
	group.Go(func() error {
		plans, err := t.PackagePlans(ctx, p, packageRows)
		for _, m := range plans {
			of.Sets = append(of.Sets, api.PackagePlan(m))
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	newest := ""
	if len(versions) > 0 {
		newest = versions[0].Version
	}
	of.Explanation = of.Explain(newest)
	return of, nil
}

// sameName finds the package of a name: that of the ecosystem that was asked for, or of the
// first that has one. also are the other ecosystems that do.
func sameName(ctx context.Context, t *store.Tables, query dashboard.VersionsQuery) (p store.Package, also []string, err error) {
	ecosystems, err := t.EcosystemsOf(ctx, query.Name)
	if err != nil {
		return p, nil, err
	}
	p = store.Package{Ecosystem: query.Ecosystem, Name: query.Name}
	if p.Ecosystem == "" && len(ecosystems) > 0 {
		p.Ecosystem = ecosystems[0]
	}
	if !slices.Contains(ecosystems, p.Ecosystem) {
		return p, nil, dashboard.ErrNotFound
	}
	return p, slices.DeleteFunc(ecosystems, func(name string) bool { return name == p.Ecosystem }), nil
}

// versionsOf puts the cells of a package together by version, newest first.
func versionsOf(cells []store.PackageCell) []api.PackageVersion {
	at := map[string]*api.PackageVersion{}
	for _, c := range cells {
		v := at[c.Version]
		if v == nil {
			v = &api.PackageVersion{Version: c.Version}
			at[c.Version] = v
		}
		counts := verdictCounts(c.Counts)
		v.Add(counts)
		v.Systems = append(v.Systems, api.PackageSystem{System: c.System, VerdictCounts: counts})
	}
	versions := make([]api.PackageVersion, 0, len(at))
	for _, v := range at {
		slices.SortFunc(v.Systems, func(a, b api.PackageSystem) int { return cmp.Compare(a.System, b.System) })
		versions = append(versions, *v)
	}
	slices.SortFunc(versions, func(a, b api.PackageVersion) int { return ecosystem.CompareVersions(b.Version, a.Version) })
	return versions
}

// versionsBehind returns a page of versions, which are newest first: those behind the one that
// a cursor names, and the cursor of the next page. A version may be empty, so a cursor is one
// with "@" in front.
func versionsBehind(versions []api.PackageVersion, cursor string, limit int) (page []api.PackageVersion, next string, err error) {
	page = versions
	if cursor != "" {
		version, found := strings.CutPrefix(cursor, "@")
		if !found {
			return nil, "", fmt.Errorf("cursor %.40q is not one that a page gave: %w", cursor, dashboard.ErrNotFound)
		}
		first, exact := slices.BinarySearchFunc(versions, version, func(v api.PackageVersion, version string) int {
			return ecosystem.CompareVersions(version, v.Version)
		})
		if exact {
			first++
		}
		page = versions[first:]
	}
	if len(page) > limit {
		page = page[:limit]
		next = "@" + page[limit-1].Version
	}
	return page, next, nil
}

// newestVersion describes the newest version of which something was compared, or else the
// newest.
func (q *Query) newestVersion(ctx context.Context, t *store.Tables, p store.Package, versions []api.PackageVersion, before uint64) (api.PackageState, error) {
	state := api.PackageState{Outputs: []dashboard.OutputRow{}}
	state.Systems = []api.PackageSystem{}
	if len(versions) == 0 {
		return state, nil
	}
	newest := max(0, slices.IndexFunc(versions, func(v api.PackageVersion) bool { return v.Compared() > 0 }))
	state.PackageVersion = versions[newest]
	numbers, err := t.OutputsOfVersion(ctx, p, state.Version, before, api.MaxStateOutputs)
	if err != nil {
		return state, err
	}
	outputs, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return state, err
	}
	state.Outputs = worst(rows(outputs), packageOutputs)
	operators, since := map[string]struct{}{}, []uint64{}
	roster := q.index.Roster()
	for _, o := range outputs {
		switch o.row.Verdict {
		case api.Diverged:
			since = append(since, o.since)
		case api.Reproduced:
			for c := range o.claims.Standing(roster) {
				if b, ok := roster.ByNumber(c.Builder); ok {
					operators[b.Operator] = struct{}{}
				}
			}
		case api.Unbuilt, api.Single:
		}
	}
	state.Operators = uint64(len(operators))
	times, err := t.ReceivedAt(ctx, since)
	for _, at := range times {
		if state.Since.IsZero() || at.Before(state.Since) {
			state.Since = at
		}
	}
	return state, err
}

// worst returns the first n of some rows by how bad their verdicts are, in the order that they
// have.
func worst(rows []dashboard.OutputRow, n int) []dashboard.OutputRow {
	if len(rows) <= n {
		return rows
	}
	rank := []api.Verdict{api.Diverged, api.Unbuilt, api.Single, api.Reproduced}
	slices.SortStableFunc(rows, func(a, b dashboard.OutputRow) int {
		return cmp.Compare(slices.Index(rank, a.Verdict), slices.Index(rank, b.Verdict))
	})
	rows = rows[:n]
	slices.SortFunc(rows, func(a, b dashboard.OutputRow) int { return cmp.Compare(a.Key, b.Key) })
	return rows
}

// addDivergences lists the newest open divergences of a package.
func (q *Query) addDivergences(ctx context.Context, t *store.Tables, p *dashboard.Package) (err error) {
	filter := store.DivergenceFilter{Ecosystem: p.Ecosystem, Package: p.Name}
	if p.Diverged, err = t.CountDivergences(ctx, filter); err != nil {
		return err
	}
	found, err := t.Divergences(ctx, filter, nil, packageRows)
	if err != nil {
		return err
	}
	p.Divergences, err = q.divergences(ctx, t, found)
	return err
}
