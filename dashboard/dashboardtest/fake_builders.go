package dashboardtest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/signing"
)

// Builders implements dashboard.Source.
func (f *Fake) Builders(ctx context.Context) ([]dashboard.Builder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []dashboard.Builder{}
	for _, b := range f.roster {
		one := f.compared(b)
		for i := range one.Copying {
			one.Copying[i].Outputs = nil
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b dashboard.Builder) int {
		return cmp.Or(cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.ID, b.ID))
	})
	return list, ctx.Err()
}

// compared completes a builder by what comparing its operator with others says.
func (f *Fake) compared(b *builder) dashboard.Builder {
	one := b.Builder
	one.AsOf = f.size
	if one.Copying = f.copying(b.Operator); len(one.Copying) > 0 {
		one.Flags = append(slices.Clone(one.Flags), "copying")
	}
	return one
}

// Builder implements dashboard.Source.
func (f *Fake) Builder(ctx context.Context, id signing.BuilderID) (*dashboard.BuilderDetail, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for number, b := range f.roster {
		if b.ID != string(id) {
			continue
		}
		detail := b.BuilderDetail
		detail.Builder = f.compared(b)
		detail.Verdicts = map[api.Verdict]uint64{}
		for key, o := range f.outputs {
			if slices.Contains(o.number, uint32(number)) {
				detail.Verdicts[f.rowOf(key).Verdict]++
			}
		}
		return &detail, ctx.Err()
	}
	return nil, dashboard.ErrNotFound
}

// held is which digests each operator holds on an output, and since which entry.
func (o *output) held(counted bool) map[string]map[string]uint64 {
	positions := map[string]map[string]uint64{}
	for _, c := range o.claims {
		if c.Status == "withdrawn" || c.Status == "revoked" || counted && c.Tier != api.Counted {
			continue
		}
		if positions[c.Operator] == nil {
			positions[c.Operator] = map[string]uint64{}
		}
		if _, before := positions[c.Operator][c.Digest]; !before {
			positions[c.Operator][c.Digest] = c.Index
		}
	}
	return positions
}

// Comparison implements dashboard.Source.
func (f *Fake) Comparison(ctx context.Context) (*dashboard.Comparison, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pairs := map[[2]string]*dashboard.Agreement{}
	for _, o := range f.outputs {
		positions := o.held(false)
		operators := slices.Sorted(maps.Keys(positions))
		for i, a := range operators {
			for _, b := range operators[i+1:] {
				pair := pairs[[2]string{a, b}]
				if pair == nil {
					pair = &dashboard.Agreement{A: a, B: b}
					pairs[[2]string{a, b}] = pair
				}
				pair.Common++
				if maps.EqualFunc(positions[a], positions[b], func(uint64, uint64) bool { return true }) {
					pair.Agree++
				}
			}
		}
	}
	c := &dashboard.Comparison{AsOf: f.size, Pairs: []dashboard.Agreement{}}
	for _, pair := range pairs {
		c.Pairs = append(c.Pairs, *pair)
	}
	slices.SortFunc(c.Pairs, func(a, b dashboard.Agreement) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) })
	return c, ctx.Err()
}

// copying says from whom an operator seems to copy, as docs/words.md defines it.
func (f *Fake) copying(operator string) []dashboard.Copying {
	if f.copies == nil {
		f.copies = f.findCopies()
	}
	var found []dashboard.Copying
	for _, c := range f.copies[operator] {
		found = append(found, *c)
	}
	slices.SortFunc(found, func(a, b dashboard.Copying) int {
		return cmp.Or(cmp.Compare(b.Same, a.Same), cmp.Compare(a.From, b.From))
	})
	return found
}

// findCopies goes through each telling digest of each diverged output.
func (f *Fake) findCopies() map[string]map[string]*dashboard.Copying {
	all, later := map[string]map[string]*dashboard.Copying{}, map[[2]string]int{}
	for _, key := range slices.Sorted(maps.Keys(f.outputs)) {
		o := f.outputs[key]
		if o.verdict.Verdict != divergence.Diverged {
			continue
		}
		positions, tells := o.held(false), o.telling()
		for a, ours := range positions {
			for b, theirs := range positions {
				if a == b || len(tells) == 0 {
					continue
				}
				if all[a] == nil {
					all[a] = map[string]*dashboard.Copying{}
				}
				if all[a][b] == nil {
					all[a][b] = &dashboard.Copying{From: b}
				}
				all[a][b].Common++
				i := slices.IndexFunc(tells, func(d string) bool { return has(ours, d) && has(theirs, d) })
				if i < 0 {
					continue
				}
				all[a][b].Same++
				all[a][b].Outputs = append(all[a][b].Outputs, f.rowOf(key))
				if ours[tells[i]] > theirs[tells[i]] {
					later[[2]string{a, b}]++
				}
			}
		}
	}
	for a, sources := range all {
		maps.DeleteFunc(sources, func(b string, c *dashboard.Copying) bool {
			c.Outputs = c.Outputs[:min(len(c.Outputs), 20)]
			n := 2 * later[[2]string{a, b}]
			after := n > int(c.Same) || n == int(c.Same) && f.enrolledAfter(a, b)
			return c.Same < 5 || c.Same*5 < c.Common*4 || !after
		})
	}
	return all
}

func has(digests map[string]uint64, digest string) bool { _, ok := digests[digest]; return ok }

func (f *Fake) enrolledAfter(a, b string) bool {
	first := func(operator string) int {
		return slices.IndexFunc(f.roster, func(one *builder) bool { return one.Operator == operator })
	}
	return first(a) > first(b)
}

// telling returns the digests beside which counted operators scatter.
func (o *output) telling() []string {
	var tells []string
	counted := o.held(true)
	for _, digests := range o.held(false) {
		for digest := range digests {
			if !slices.Contains(tells, digest) && scatterBeside(counted, digest) {
				tells = append(tells, digest)
			}
		}
	}
	slices.Sort(tells)
	return tells
}

func scatterBeside(counted map[string]map[string]uint64, digest string) bool {
	remain, holders := 0, map[string]int{}
	for _, digests := range counted {
		if _, holds := digests[digest]; !holds {
			remain++
		}
		for other := range digests {
			if other != digest {
				holders[other]++
			}
		}
	}
	for _, n := range holders {
		if n > 1 {
			return false
		}
	}
	return remain >= 2
}
