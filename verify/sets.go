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

// A Set is a published revision of a package set, where nothing else is said the latest. That it is published
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
	r, err := latestRevision(ctx, revisions, attachments)
	if r == nil || err != nil {
		return nil, err
	}
	set := &r.Set
	set.members = map[string]bool{}
	for _, list := range [][]pkgset.Member{r.Counted, r.Fixed} {
		for i := range list {
			set.members[list[i].Key] = true
		}
	}
	return set, nil
}

// A SetRevision is what a package set consisted of at a revision.
type SetRevision struct {
	Set
	*reading.Members
}

// SetRevision returns a package set at a revision as the mirrored ledger has it: the
// newest revision for "", and of one that was published again what it is since then. Its
// members are fetched as those of [Pins.Sets] are.
func (p *Pins) SetRevision(ctx context.Context, m *Mirror, name, wanted string) (*SetRevision, error) {
	published, err := m.published(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading package sets: %w", err)
	}
	var candidates []revision
	var names []string
	for _, r := range published[name] {
		if wanted == "" || r.Revision == wanted {
			candidates = append(candidates, r)
		}
		names = append(names, r.Revision)
	}
	set, err := latestRevision(ctx, candidates, m.Attachments(p.Logs()...))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading package set %s: %w", name, err)
	case set != nil:
		return set, nil
	case len(names) == 0:
		return nil, fmt.Errorf("package set %q is not published in the ledger", name)
	case len(candidates) > 0:
		return nil, fmt.Errorf("package set %q has no revision %q that could be read: what its entry names is malformed", name, wanted)
	default:
		const shown = 5
		return nil, fmt.Errorf("package set %q has no revision %q in the ledger; the newest of its %d are: %q", name, wanted, len(names), names[max(0, len(names)-shown):])
	}
}

func latestRevision(ctx context.Context, revisions []revision, attachments reading.Attachments) (*SetRevision, error) {
	for _, r := range slices.Backward(revisions) {
		members, err := r.Members(ctx, attachments)
		if _, refused := errors.AsType[*reading.Refused](err); refused {
			continue // moves nothing, for any reader
		}
		if err != nil {
			return nil, err
		}
		return &SetRevision{Set{Name: r.Name, Revision: r.Revision, Ecosystem: r.Ecosystem, Index: r.index}, members}, nil
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
