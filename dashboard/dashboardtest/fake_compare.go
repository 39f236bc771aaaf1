package dashboardtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/signing"
)

// Divergences implements dashboard.Source.
func (f *Fake) Divergences(ctx context.Context, q dashboard.DivergenceQuery) (*dashboard.DivergencePage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	keys, _, err := f.keys(q.Set)
	if err != nil {
		return nil, err
	}
	page := &dashboard.DivergencePage{Divergences: []dashboard.Divergence{}}
	var all []dashboard.Divergence
	for _, key := range keys {
		o := f.outputs[key]
		if o == nil || o.verdict.Verdict != divergence.Diverged {
			continue
		}
		row := f.rowOf(key)
		last := o.history[len(o.history)-1]
		d := dashboard.Divergence{OutputRow: row, Since: last.ReceivedAt, Index: last.Index, Previous: last.From, Factions: factions(o.claims)}
		if (q.Shape == "" || q.Shape == row.Shape) && (q.Cause == "" || q.Cause == row.Cause) && f.holds(o, q.Builder) && f.maintains(key, q.Maintainer) &&
			(q.Ecosystem == "" || q.Ecosystem == row.Ecosystem) && (q.Project == "" || strings.HasPrefix(key, q.Project+"/")) && f.isOf(key, q.Ecosystem, q.Package) {
			d.Regressed = f.regressed(key)
			all = append(all, d)
		}
	}
	page.Total = uint64(len(all))
	slices.SortFunc(all, func(a, b dashboard.Divergence) int {
		return cmp.Or(cmp.Compare(b.Index, a.Index), cmp.Compare(a.Key, b.Key))
	})
	if q.Cursor != "" {
		index, key, ok := strings.Cut(q.Cursor, ":")
		at, err := strconv.ParseUint(index, 10, 64)
		if !ok || err != nil {
			return nil, errors.Join(dashboard.ErrNotFound, err)
		}
		all = slices.DeleteFunc(all, func(d dashboard.Divergence) bool { return d.Index > at || d.Index == at && d.Key <= key })
	}
	if len(all) > q.Limit {
		all = all[:q.Limit]
		last := all[len(all)-1]
		page.Next = fmt.Sprintf("%d:%s", last.Index, last.Key)
	}
	page.Divergences = append(page.Divergences, all...)
	return page, ctx.Err()
}

func (f *Fake) holds(o *output, id signing.BuilderID) bool {
	return id == "" || slices.ContainsFunc(o.claims, func(c dashboard.Claim) bool { return c.Builder == string(id) && c.Counts })
}

func (f *Fake) maintains(key, who string) bool {
	if who == "" {
		return true
	}
	for _, s := range f.sets {
		if slices.ContainsFunc(s.members, func(m Member) bool { return m.Key == key && slices.Contains(m.Maintainers, who) }) {
			return true
		}
	}
	return false
}

// regressed is the key of what is reproduced, and in whose place an output came in the newest
// revision of a package set; "" if there is none.
func (f *Fake) regressed(key string) string {
	for name, s := range f.sets {
		m := s.member(key)
		if m == nil {
			continue
		}
		was := f.cameFor(append(slices.Clone(f.earlier[name]), s), m)
		if o := f.outputs[was]; o != nil && o.verdict.Verdict == divergence.Reproduced {
			return was
		}
	}
	return ""
}

func factions(claims []dashboard.Claim) []dashboard.Faction {
	sorted := slices.SortedStableFunc(slices.Values(claims), func(a, b dashboard.Claim) int { return cmp.Compare(a.Digest, b.Digest) })
	var list []dashboard.Faction
	for _, f := range divergence.Factions(func(yield func(digest, operator string) bool) {
		for _, c := range sorted {
			if c.Counts && !yield(c.Digest, c.Operator) {
				return
			}
		}
	}) {
		list = append(list, dashboard.Faction{Digest: f.Digest, Operators: f.Holders})
	}
	return list
}
