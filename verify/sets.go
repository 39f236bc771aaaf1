package verify

import (
	"context"
	"fmt"
	"io"

	"repronet/ledger"
	"repronet/pkgset"
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
	latest, err := m.setEntries(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading package sets: %w", err)
	}
	attachments := m.Attachments(p.Logs()...)
	sets := make([]*Set, 0, len(names))
	for _, name := range names {
		entry, ok := latest[name]
		if !ok {
			return nil, fmt.Errorf("package set %q is not published in the ledger", name)
		}
		attachment, err := attachments(ctx, entry.SHA256)
		if err != nil {
			return nil, fmt.Errorf("reading package set %s: %w", name, err)
		}
		members, err := pkgset.Decode(entry.Ecosystem, attachment)
		if err != nil {
			return nil, fmt.Errorf("reading package set %s: %w", name, err)
		}
		set := &Set{Name: name, Revision: entry.Revision, Ecosystem: entry.Ecosystem, Index: entry.index, members: map[string]bool{}}
		for i := range members {
			set.members[members[i].Key] = true
		}
		sets = append(sets, set)
	}
	return sets, nil
}

type setEntry struct {
	*pkgset.Entry
	index uint64
}

// setEntries returns the latest entry of each published set by its name.
func (m *Mirror) setEntries(ctx context.Context) (map[string]setEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	indices, err := m.index.all(setsFile)
	if err != nil {
		return nil, err
	}
	latest := map[string]setEntry{}
	for _, n := range indices {
		record, err := m.tree().Record(ctx, n)
		if err != nil {
			return nil, m.damaged(err)
		}
		entry, err := record.Entry()
		if err != nil {
			return nil, err
		}
		if set, err := pkgset.ParseEntry(entry.Body); err == nil { // else it is a set for nobody
			latest[set.Name] = setEntry{set, n}
		}
	}
	return latest, nil
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
