package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// A Set is the latest published revision of a package set. That it is published
// is the word of the ledger's operator, who can publish another one.
type Set struct {
	Name      string
	Revision  string
	Ecosystem string
	Index     uint64 // in the ledger
	members   map[string]bool
}

// Containing returns the names of the sets that an output is a member of.
func Containing(sets []*Set, o Output) []string {
	var names []string
	for _, s := range sets {
		if s.Ecosystem == o.Ecosystem && s.members[o.Key] {
			names = append(names, s.Name)
		}
	}
	return names
}

// Sets returns the named package sets as the mirrored ledger has them. Their
// members are fetched from the first of the pinned aggregators that has them, and
// kept in the mirror. A set that is not published is an error.
func (p *Pins) Sets(ctx context.Context, m *Mirror, names []string) ([]*Set, error) {
	if len(names) == 0 {
		return nil, nil
	}
	published, err := m.published(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading package sets: %w", err)
	}
	attachments := m.Attachments(p.Logs()...)
	sets := make([]*Set, 0, len(names))
	for _, name := range names {
		set, err := latest(ctx, published[name], attachments)
		if err != nil {
			return nil, fmt.Errorf("reading package set %s: %w", name, err)
		}
		if set == nil {
			return nil, fmt.Errorf("package set %q is not published in the ledger", name)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// latest returns the latest of a set's revisions, oldest first, that is not refused; nil
// if there is none.
func latest(ctx context.Context, revisions []revision, attachments reading.Attachments) (*Set, error) {
	for _, r := range slices.Backward(revisions) {
		members, err := r.Members(ctx, attachments)
		if _, refused := errors.AsType[*reading.Refused](err); refused {
			continue // moves nothing, for any reader
		}
		if err != nil {
			return nil, err
		}
		set := &Set{Name: r.Name, Revision: r.Revision, Ecosystem: r.Ecosystem, Index: r.index, members: map[string]bool{}}
		for _, list := range [][]pkgset.Member{members.Counted, members.Fixed} {
			for i := range list {
				set.members[list[i].Key] = true
			}
		}
		return set, nil
	}
	return nil, nil
}

type revision struct {
	*reading.Set
	index uint64
}

// published returns the revisions of each package set by its name, oldest first.
func (m *Mirror) published(ctx context.Context) (map[string][]revision, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.index.covers(m.Tree().Size()); err != nil {
		return nil, err
	}
	indices, err := m.index.all(setsFile)
	if err != nil {
		return nil, err
	}
	sets := map[string][]revision{}
	for _, n := range indices {
		record, err := m.Tree().Record(ctx, n)
		if err != nil {
			return nil, m.replica.Damaged(err)
		}
		entry, err := record.Entry()
		if err != nil {
			return nil, err
		}
		if set, ok := reading.As[*reading.Set](n, entry); ok { // else it moves nothing, for any reader
			sets[set.Name] = append(sets[set.Name], revision{set, n})
		}
	}
	return sets, nil
}

// Logs are the pinned aggregators' copies of the ledger, in order of preference.
func (p *Pins) Logs() []ledger.Fetcher {
	fetchers := make([]ledger.Fetcher, len(p.Aggregators))
	for i, address := range p.Aggregators {
		fetchers[i] = func(ctx context.Context, path string) (io.ReadCloser, error) {
			aggregator, err := Dial(address)
			if err != nil {
				return nil, err
			}
			return aggregator.Log()(ctx, path)
		}
	}
	return fetchers
}
