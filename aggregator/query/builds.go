package query

import (
	"context"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
)

// maxFailures is how many failures are shown of a build.
const maxFailures = 50

// Build implements [dashboard.OutputSource].
func (q *Query) Build(ctx context.Context, name string) (*dashboard.Build, error) {
	t, release := q.store.Acquire()
	defer release()
	ecosystems, err := t.Ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]attestation.OutputID, len(ecosystems)) // the build's in each ecosystem
	for i, ecosystem := range ecosystems {
		ids[i] = attestation.NewOutputID(ecosystem, name)
	}
	outputs, err := t.OfBuilds(ctx, ids, maxOutputs)
	if err != nil {
		return nil, err
	}
	failures, err := t.Failures(ctx, ids, maxFailures)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		short := store.Short(id[:])
		if len(outputs[short]) == 0 && len(failures[short]) == 0 {
			continue
		}
		b := &dashboard.Build{Name: name, Ecosystem: ecosystems[i]}
		if b.Outputs, err = q.whole(ctx, t, outputs[short]); err != nil {
			return nil, err
		}
		b.Total = uint64(len(b.Outputs))
		if len(outputs[short]) == maxOutputs {
			if b.Total, err = t.CountOfBuild(ctx, id); err != nil {
				return nil, err
			}
		}
		b.Failures, err = q.failures(ctx, failures[short], name)
		return b, err
	}
	return nil, dashboard.ErrNotFound
}

// failures returns what is shown of the failures of the build of a name.
func (q *Query) failures(ctx context.Context, failures []store.Failure, name string) ([]dashboard.Failure, error) {
	indices := make([]uint64, len(failures))
	for i := range failures {
		indices[i] = failures[i].Index
	}
	details, err := q.read(ctx, indices)
	if err != nil {
		return nil, err
	}
	roster := q.index.Roster()
	list := make([]dashboard.Failure, 0, len(failures))
	for _, f := range failures {
		d := details[f.Index]
		i := slices.IndexFunc(d.statement.Builds, func(b attestation.Build) bool { return b.Name == name })
		b, ok := roster.ByNumber(f.Builder)
		if i < 0 || !ok {
			continue // another build with the same 64 bits
		}
		list = append(list, dashboard.Failure{
			Index: f.Index, ReceivedAt: d.receivedAt, Builder: string(b.ID), Operator: b.Operator,
			Failure: d.statement.Builds[i].Failure, Environment: d.statement.Environment,
		})
	}
	return list, nil
}
