package query

import (
	"context"

	"repronet.dev/aggregator/store"
	"repronet.dev/aggregator/suggest"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// maxWindow bounds how many outputs are looked at for one answer.
const maxWindow = 4096

// Suggestions says which builds of a package set are worth making next, see package suggest.
// It returns [dashboard.ErrNotFound] for a set that is not published, or a builder that is
// not enrolled.
func (q *Query) Suggestions(ctx context.Context, query api.SuggestionQuery) (*api.Suggestions, error) {
	t, release := q.store.Acquire()
	defer release()
	set, err := q.set(ctx, t, query.Set)
	if err != nil {
		return nil, err
	}
	filter := store.UndecidedFilter{Set: query.Set, System: query.System}
	if query.Builder != "" {
		b, ok := q.index.Roster().Builder(query.Builder)
		if !ok {
			return nil, dashboard.ErrNotFound
		}
		for other := range q.index.Roster().All() {
			if other.OperatorNumber == b.OperatorNumber {
				filter.Without = append(filter.Without, other.Number)
			}
		}
	}
	answer := &api.Suggestions{Set: set.Name, Revision: set.Revision}
	if answer.Confirmable, answer.Unbuilt, err = t.CountUndecided(ctx, filter); err != nil {
		return nil, err
	}
	limit := min(max(query.Limit, 1), maxOutputs)
	found, err := t.Undecided(ctx, filter, min(suggest.Window*limit, maxWindow))
	if err != nil {
		return nil, err
	}
	best, err := suggestions(ctx, t, found)
	if err != nil {
		return nil, err
	}
	answer.Suggestions = suggest.Deal(best, string(query.Builder), limit)
	return answer, nil
}

// suggestions makes one suggestion of the outputs of a build, where the first of them is.
func suggestions(ctx context.Context, t *store.Tables, found []store.Undecided) ([]api.Suggestion, error) {
	numbers := make([]uint32, len(found))
	var since []uint64
	for i, u := range found {
		numbers[i] = u.Output
		if u.Verdict == divergence.Single {
			since = append(since, u.Since)
		}
	}
	names, err := t.Names(ctx, numbers)
	if err != nil {
		return nil, err
	}
	times, err := t.ReceivedAt(ctx, since)
	if err != nil {
		return nil, err
	}
	list := []api.Suggestion{}
	at := map[string]int{} // by build
	for _, u := range found {
		name, ok := names[u.Output]
		if !ok {
			continue // it is being written
		}
		if i, ok := at[name.Build]; ok && name.Build != "" {
			list[i].Outputs = append(list[i].Outputs, name.Key)
			continue
		}
		s := api.Suggestion{
			Build: name.Build, Ecosystem: name.Ecosystem, Outputs: []string{name.Key},
			Attribute: u.Attribute, System: u.System, Reason: api.Begin, Dependents: u.Dependents,
		}
		if u.Verdict == divergence.Single {
			s.Reason = api.Confirm
			if received, ok := times[u.Since]; ok {
				s.Since = &received
			}
		}
		at[name.Build] = len(list)
		list = append(list, s)
	}
	return list, nil
}
