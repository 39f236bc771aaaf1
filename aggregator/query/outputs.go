package query

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// maxOutputs is how many outputs a list has at most.
const maxOutputs = 1000

// An output is a row with what it was made from.
type output struct {
	row     dashboard.OutputRow
	number  uint32
	claims  *divergence.Output
	since   uint64         // the entry that last changed the verdict
	members []store.Member // of the newest package sets
}

// outputs returns the outputs with the given numbers, by key.
func (q *Query) outputs(ctx context.Context, t *store.Tables, numbers []uint32) ([]output, error) {
	members, err := t.MembershipsOf(ctx, numbers)
	if err != nil {
		return nil, err
	}
	return assemble(ctx, t, numbers, members)
}

// assemble returns the outputs with the given numbers, by key, given what package
// sets say of them.
func assemble(ctx context.Context, t *store.Tables, numbers []uint32, members []store.Member) ([]output, error) {
	names, err := t.Names(ctx, numbers)
	if err != nil {
		return nil, err
	}
	ids := make([]attestation.OutputID, 0, len(names))
	for _, n := range names {
		ids = append(ids, attestation.NewOutputID(n.Ecosystem, n.Key))
	}
	states, err := t.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]output, 0, len(names))
	compared := map[uint32]divergence.Inputs{}
	for _, name := range names {
		state, ok := states[attestation.NewOutputID(name.Ecosystem, name.Key)]
		if !ok {
			state = &store.State{} // numbered by a batch that is being written
		}
		list = append(list, output{number: name.Output, claims: &state.Claims, since: state.Since, row: row(name, &state.Judged)})
		if state.Verdict == divergence.Diverged {
			compared[name.Output] = state.Inputs
		}
	}
	causes, err := causes(ctx, t, compared)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, byKey)
	at := byNumber(list)
	for i := range list {
		list[i].row.Cause = causes[list[i].number]
	}
	for _, m := range members {
		if o, ok := at[m.Output]; ok {
			o.row.Output = cmp.Or(o.row.Output, m.Name)
			o.members = append(o.members, m)
		}
	}
	return list, nil
}

// byNumber finds outputs by their numbers.
func byNumber(outputs []output) map[uint32]*output {
	at := make(map[uint32]*output, len(outputs))
	for i := range outputs {
		at[outputs[i].number] = &outputs[i]
	}
	return at
}

func byKey(a, b output) int {
	return cmp.Or(strings.Compare(a.row.Key, b.row.Key), strings.Compare(a.row.Ecosystem, b.row.Ecosystem))
}

// row shows what the index judged of an output.
func row(name store.OutputName, j *store.Judged) dashboard.OutputRow {
	return dashboard.OutputRow{
		Key: name.Key, Ecosystem: name.Ecosystem, Build: name.Build, Output: name.Name,
		Verdict: api.NewVerdict(j.Verdict), Shape: api.NewShape(j.Shape), Operators: j.Operators, Digests: j.Digests,
	}
}

// causes names the causes of divergences, given how their inputs compare.
func causes(ctx context.Context, t *store.Tables, diverged map[uint32]divergence.Inputs) (map[uint32]api.Side, error) {
	var differ []uint32
	for number, compared := range diverged {
		if compared == divergence.InputsDiffer {
			differ = append(differ, number)
		}
	}
	inheriting, err := t.Inheriting(ctx, differ)
	if err != nil {
		return nil, err
	}
	names := make(map[uint32]api.Side, len(diverged))
	for number, compared := range diverged {
		names[number] = api.NewSide(divergence.CauseOf(compared, inheriting[number]))
	}
	return names, nil
}

func rows(outputs []output) []dashboard.OutputRow {
	list := make([]dashboard.OutputRow, len(outputs))
	for i, o := range outputs {
		list[i] = o.row
	}
	return list
}

// ByDigest implements [dashboard.OutputSource].
func (q *Query) ByDigest(ctx context.Context, digest attestation.Digest) ([]dashboard.OutputRow, error) {
	t, release := q.store.Acquire()
	defer release()
	numbers, err := t.MayHaveDigest(ctx, digest, maxOutputs)
	if err != nil {
		return nil, err
	}
	found, err := q.outputs(ctx, t, numbers)
	if err != nil {
		return nil, err
	}
	withdrawals, err := t.Withdrawals(ctx, numbers)
	if err != nil {
		return nil, err
	}
	return rows(slices.DeleteFunc(found, func(o output) bool {
		return !slices.ContainsFunc(o.claims.Claims, func(c divergence.Claim) bool { return c.Digest == digest }) &&
			!slices.ContainsFunc(withdrawals, func(w store.Withdrawal) bool { return w.Output == o.number && w.Digest == digest })
	})), nil
}

// Search implements [dashboard.OutputSource]. A cursor is the number of the last output of a
// page, which has the least of them.
func (q *Query) Search(ctx context.Context, query dashboard.SearchQuery) (*dashboard.SearchPage, error) {
	t, release := q.store.Acquire()
	defer release()
	below := uint32(math.MaxUint32)
	if query.Cursor != "" {
		last, err := strconv.ParseUint(query.Cursor, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("cursor %.40q is not one that a page gave: %w", query.Cursor, dashboard.ErrNotFound)
		}
		below = uint32(last)
	}
	limit := min(max(query.Limit, 1), maxOutputs)
	numbers, err := t.Search(ctx, query.Text, below, limit+1)
	if err != nil {
		return nil, err
	}
	page := &dashboard.SearchPage{}
	if len(numbers) > limit {
		numbers = numbers[:limit]
		page.Next = strconv.FormatUint(uint64(numbers[limit-1]), 10)
	}
	found, err := q.outputs(ctx, t, numbers)
	page.Outputs = rows(found)
	return page, err
}

// Output implements [dashboard.OutputSource].
func (q *Query) Output(ctx context.Context, key string) (*dashboard.Output, error) {
	t, release := q.store.Acquire()
	defer release()
	ecosystems, err := t.Ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]attestation.OutputID, len(ecosystems))
	for i, ecosystem := range ecosystems {
		ids[i] = attestation.NewOutputID(ecosystem, key)
	}
	states, err := t.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if state, ok := states[id]; ok {
			found, err := q.whole(ctx, t, []uint32{state.Output})
			if err != nil || len(found) == 0 {
				return nil, cmp.Or(err, dashboard.ErrNotFound)
			}
			return &found[0], nil
		}
	}
	return nil, dashboard.ErrNotFound
}
