package query

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
)

// LookUp implements dashboard.OutputSource. However many keys there are, it asks the same
// few statements, each of which may be in parts.
func (q *Query) LookUp(ctx context.Context, keys []string) ([]api.Lookup, error) {
	t, release := q.store.Acquire()
	defer release()
	f := &finding{query: q, tables: t, sought: map[string]*sought{}}
	list := make([]api.Lookup, len(keys))
	for _, key := range keys {
		if _, again := f.sought[key]; !again {
			f.sought[key] = newSought(key)
		}
	}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	for i, key := range keys {
		list[i] = f.sought[key].answer
	}
	return list, nil
}

// Bucket implements dashboard.OutputSource.
func (q *Query) Bucket(ctx context.Context, prefix attestation.Prefix) ([]api.FoundOutput, error) {
	t, release := q.store.Acquire()
	defer release()
	states, err := t.InBucket(ctx, prefix.First(), prefix.Last(), api.MaxBucketOutputs+1)
	if err != nil {
		return nil, err
	}
	if len(states) > api.MaxBucketOutputs {
		return nil, dashboard.ErrBucket
	}
	numbers := make([]uint32, 0, len(states))
	for _, state := range states {
		numbers = append(numbers, state.Output)
	}
	f := &finding{query: q, tables: t, states: states}
	if f.numbered, err = t.Keys(ctx, numbers); err != nil {
		return nil, err
	}
	all := &sought{answer: api.Lookup{Outputs: []api.FoundOutput{}}}
	f.add(all, numbers)
	return all.answer.Outputs, nil
}

// sought is a key that is looked up, once however often it is asked for.
type sought struct {
	attestation.Sought
	answer api.Lookup
}

func newSought(key string) *sought {
	s := &sought{answer: api.Lookup{Key: key, State: api.KeyUnknown, Outputs: []api.FoundOutput{}}}
	var err error
	s.Sought, err = attestation.Seek(strings.TrimSpace(key))
	switch {
	case err != nil:
		s.answer.State, s.answer.Reason = api.KeyInvalid, err.Error()
	case s.Digest != nil:
		s.answer.Kind = api.DigestKey
	case s.PURL:
		s.answer.Kind = api.PURLKey
	case len(s.Outputs) == 0:
		s.answer.Kind = api.BuildKey
	default:
		s.answer.Kind = api.OutputKey
	}
	return s
}

// A finding finds what is known under many keys.
type finding struct {
	query  *Query
	tables *store.Tables
	sought map[string]*sought
	// numbered are outputs that a digest or a build led to.
	numbered map[uint32]store.OutputKey
	states   map[attestation.OutputID]*store.State
	taken    map[uint32]map[attestation.Digest]struct{} // digests that were withdrawn
}

func (f *finding) find(ctx context.Context) (err error) {
	var outputs, builds []attestation.OutputID
	var digests []attestation.Digest
	for _, s := range f.sought {
		for _, name := range s.Outputs {
			outputs = append(outputs, name.ID)
		}
		builds = append(builds, s.Builds...)
		if s.Digest != nil {
			digests = append(digests, *s.Digest)
		}
	}
	if f.states, err = f.tables.States(ctx, outputs); err != nil {
		return err
	}
	// One more than is listed tells that there are more.
	ofBuilds, err := f.tables.OfBuilds(ctx, builds, api.MaxLookupOutputs+1)
	if err != nil {
		return err
	}
	withDigests, err := f.tables.WithDigests(ctx, digests, api.MaxLookupOutputs+1)
	if err != nil {
		return err
	}
	if err := f.name(ctx, ofBuilds, withDigests); err != nil {
		return err
	}
	for _, s := range f.sought {
		switch {
		case s.Digest != nil:
			f.list(s, f.having(withDigests[store.Short(s.Digest[:])], *s.Digest))
		case !f.named(s):
			f.listBuild(s, ofBuilds)
		}
	}
	return nil
}

// name reads what the outputs are called that digests and builds led to, and their states.
func (f *finding) name(ctx context.Context, ofBuilds, withDigests map[uint64][]uint32) (err error) {
	var numbers, digested []uint32
	for _, list := range withDigests {
		digested = append(digested, list...)
	}
	for _, list := range ofBuilds {
		numbers = append(numbers, list...)
	}
	if f.numbered, err = f.tables.Keys(ctx, unique(append(numbers, digested...))); err != nil {
		return err
	}
	ids := make([]attestation.OutputID, 0, len(f.numbered))
	for _, n := range f.numbered {
		ids = append(ids, n.ID())
	}
	states, err := f.tables.States(ctx, ids)
	if err != nil {
		return err
	}
	maps.Copy(f.states, states)
	withdrawn, err := f.tables.Withdrawals(ctx, unique(digested))
	f.taken = map[uint32]map[attestation.Digest]struct{}{}
	for _, w := range withdrawn {
		if f.taken[w.Output] == nil {
			f.taken[w.Output] = map[attestation.Digest]struct{}{}
		}
		f.taken[w.Output][w.Digest] = struct{}{}
	}
	return err
}

func unique(numbers []uint32) []uint32 {
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// named answers for a key that is an output's own.
func (f *finding) named(s *sought) bool {
	for _, name := range s.Outputs {
		if state, ok := f.states[name.ID]; ok {
			s.add(f.found(name.Ecosystem, name.Name, state))
		}
	}
	return s.answer.State == api.KeyKnown
}

// list answers by numbers of outputs, of which it lists so many as an answer has at most.
func (f *finding) list(s *sought, numbers []uint32) {
	f.add(s, numbers)
	if len(s.answer.Outputs) > api.MaxLookupOutputs {
		s.answer.Outputs, s.answer.More = s.answer.Outputs[:api.MaxLookupOutputs], true
	}
}

// add answers by numbers of outputs, by key.
func (f *finding) add(s *sought, numbers []uint32) {
	for _, number := range numbers {
		if name, ok := f.numbered[number]; ok {
			s.add(f.found(name.Ecosystem, name.Key, f.states[name.ID()]))
		}
	}
	slices.SortFunc(s.answer.Outputs, func(a, b api.FoundOutput) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Ecosystem, b.Ecosystem))
	})
}

func (s *sought) add(output api.FoundOutput) {
	s.answer.State = api.KeyKnown
	s.answer.Outputs = append(s.answer.Outputs, output)
}

// listBuild answers by the outputs of a build.
func (f *finding) listBuild(s *sought, ofBuilds map[uint64][]uint32) {
	var numbers []uint32
	for _, build := range s.Builds {
		numbers = append(numbers, ofBuilds[store.Short(build[:])]...)
	}
	if f.list(s, numbers); s.answer.State == api.KeyKnown && !s.PURL {
		s.answer.Kind = api.BuildKey
	}
}

// having returns those outputs for which a digest was claimed: the numbers are of all that
// have one with the same first bytes.
func (f *finding) having(numbers []uint32, digest attestation.Digest) []uint32 {
	return slices.DeleteFunc(slices.Clone(numbers), func(number uint32) bool {
		state := f.states[f.numbered[number].ID()]
		_, withdrawn := f.taken[number][digest]
		return !withdrawn && (state == nil || !slices.ContainsFunc(state.Claims.Claims, func(c divergence.Claim) bool { return c.Digest == digest }))
	})
}

// found is what is said of an output; a state of nil is that of one which is being written.
func (f *finding) found(ecosystem, key string, state *store.State) api.FoundOutput {
	if state == nil {
		state = &store.State{}
	}
	return api.FoundOutput{
		Key: key, Ecosystem: ecosystem, Verdict: api.NewVerdict(state.Verdict), Shape: api.NewShape(state.Shape),
		Operators: state.Operators, Factions: factions(&state.Claims, f.query.index.Roster()),
	}
}
