package dashboardtest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
)

// LookUp implements dashboard.Source.
func (f *Fake) LookUp(ctx context.Context, keys []string) ([]api.Lookup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]api.Lookup, len(keys))
	for i, key := range keys {
		list[i] = f.lookUp(key)
	}
	return list, ctx.Err()
}

func (f *Fake) lookUp(key string) api.Lookup {
	answer := api.Lookup{Key: key, State: api.KeyUnknown, Outputs: []api.FoundOutput{}}
	key = strings.TrimSpace(key)
	sought, err := attestation.Seek(key)
	if err != nil {
		answer.State, answer.Reason = api.KeyInvalid, err.Error()
		return answer
	}
	is := func(ids []attestation.OutputID, name string) bool {
		return slices.Contains(ids, attestation.NewOutputID("nix", name))
	}
	switch {
	case sought.Digest != nil:
		answer.Kind = api.DigestKey
		f.list(&answer, func(o *output) bool {
			return slices.ContainsFunc(o.claims, func(c dashboard.Claim) bool { return c.Digest == sought.Digest.String() })
		})
	case sought.PURL:
		answer.Kind = api.PURLKey
		f.list(&answer, func(o *output) bool { return is(sought.Builds, o.row.Build) })
	case len(sought.Outputs) == 0:
		answer.Kind = api.BuildKey
		f.list(&answer, func(o *output) bool { return o.row.Build == key })
	default:
		answer.Kind = api.OutputKey
		if f.list(&answer, func(o *output) bool { return o.row.Key == key }); answer.State == api.KeyKnown {
			break
		}
		if _, err := f.unbuilt(key); err == nil {
			answer.State = api.KeyKnown
			answer.Outputs = append(answer.Outputs, unbuiltOf(key))
		}
	}
	return answer
}

// Bucket implements dashboard.Source.
func (f *Fake) Bucket(ctx context.Context, prefix attestation.Prefix) ([]api.FoundOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []api.FoundOutput{}
	for _, key := range f.keysOf(func(o *output) bool { return prefix.Has(attestation.NewOutputID(o.row.Ecosystem, o.row.Key)) }) {
		found = append(found, f.foundOf(key))
	}
	for _, s := range f.sets {
		for _, m := range s.members {
			if f.outputs[m.Key] == nil && prefix.Has(attestation.NewOutputID("nix", m.Key)) &&
				!slices.ContainsFunc(found, func(o api.FoundOutput) bool { return o.Key == m.Key }) {
				found = append(found, unbuiltOf(m.Key))
			}
		}
	}
	slices.SortFunc(found, func(a, b api.FoundOutput) int { return strings.Compare(a.Key, b.Key) })
	return found, ctx.Err()
}

func (f *Fake) foundOf(key string) api.FoundOutput {
	row := f.rowOf(key)
	return api.FoundOutput{
		Key: key, Ecosystem: row.Ecosystem, Verdict: row.Verdict, Shape: row.Shape, Operators: row.Operators,
		Factions: append([]api.Faction{}, factions(f.outputs[key].claims)...),
	}
}

func unbuiltOf(key string) api.FoundOutput {
	return api.FoundOutput{Key: key, Ecosystem: "nix", Verdict: api.Unbuilt, Factions: []api.Faction{}}
}

// list lists the outputs that are wanted.
func (f *Fake) list(answer *api.Lookup, wanted func(*output) bool) {
	for _, key := range f.keysOf(wanted) {
		answer.State = api.KeyKnown
		if len(answer.Outputs) == api.MaxLookupOutputs {
			answer.More = true
			return
		}
		answer.Outputs = append(answer.Outputs, f.foundOf(key))
	}
}

func (f *Fake) keysOf(wanted func(*output) bool) (keys []string) {
	for key, o := range f.outputs {
		if wanted(o) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ByDigest implements dashboard.Source.
func (f *Fake) ByDigest(ctx context.Context, digest attestation.Digest) ([]dashboard.OutputRow, error) {
	return f.rows(ctx, 1000, func(o *output) bool {
		return slices.ContainsFunc(o.claims, func(c dashboard.Claim) bool { return c.Digest == digest.String() })
	})
}

// Search implements dashboard.Source.
func (f *Fake) Search(ctx context.Context, q dashboard.SearchQuery) (*dashboard.SearchPage, error) {
	text := strings.ToLower(q.Text)
	rows, err := f.rows(ctx, len(f.outputs), func(o *output) bool {
		return strings.Contains(strings.ToLower(o.row.Key), text) || strings.Contains(strings.ToLower(o.row.Build), text)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortStableFunc(rows, func(a, b dashboard.OutputRow) int { return cmp.Compare(f.outputs[b.Key].born, f.outputs[a.Key].born) })
	if q.Cursor != "" {
		last, err := strconv.Atoi(q.Cursor)
		if err != nil {
			return nil, errors.Join(dashboard.ErrNotFound, err)
		}
		rows = slices.DeleteFunc(rows, func(r dashboard.OutputRow) bool { return f.outputs[r.Key].born >= last })
	}
	page := &dashboard.SearchPage{Outputs: rows}
	if len(rows) > q.Limit {
		page.Outputs = rows[:q.Limit]
		page.Next = strconv.Itoa(f.outputs[rows[q.Limit-1].Key].born)
	}
	slices.SortFunc(page.Outputs, func(a, b dashboard.OutputRow) int { return cmp.Compare(a.Key, b.Key) })
	return page, err
}

func (f *Fake) rows(ctx context.Context, limit int, wanted func(*output) bool) ([]dashboard.OutputRow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := []dashboard.OutputRow{}
	for _, key := range slices.Sorted(maps.Keys(f.outputs)) {
		if len(rows) < limit && wanted(f.outputs[key]) {
			rows = append(rows, f.rowOf(key))
		}
	}
	return rows, ctx.Err()
}
