package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// lookedBack is how many revisions of each package set [Pins.Predecessors] reads: those of a
// set of 100,000 members take half a second each.
const lookedBack = 10

// Predecessors returns, for each of some outputs, those in whose place it came, by the package
// sets of the mirrored ledger: what an earlier one of a set's ten newest revisions has under
// the same attribute, system and output name or, where the set says none, as the only one of
// the same name without the version. The nearest revision comes first. It is remembered until
// another set is published.
func (p *Pins) Predecessors(ctx context.Context, m *Mirror, outputs []Output) ([][]Output, error) {
	published, err := m.published(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading package sets: %w", err)
	}
	entries := 0
	for _, revisions := range published {
		entries += len(revisions)
	}
	known := m.before.recall(entries, outputs)
	h := history{found: map[Output][]Output{}}
	for _, o := range outputs {
		if _, ok := known[o]; !ok {
			h.found[o] = nil
		}
	}
	attachments := m.Attachments(p.Logs()...)
	for _, name := range slices.Sorted(maps.Keys(published)) {
		if len(h.found) == 0 {
			break
		}
		if err := h.follow(ctx, published[name], attachments); err != nil {
			return nil, fmt.Errorf("reading earlier revisions of package set %s: %w", name, err)
		}
	}
	m.before.remember(entries, h.found)
	maps.Copy(known, h.found)
	found := make([][]Output, len(outputs))
	for i, o := range outputs {
		found[i] = known[o]
	}
	return found, nil
}

// A memory of predecessors holds until the ledger has other package sets.
type memory struct {
	mu      sync.Mutex // guards what is below
	entries int        // how many entries of sets the ledger had
	known   map[Output][]Output
}

// maxRemembered bounds the outputs whose predecessors are remembered.
const maxRemembered = 1 << 14

// recall returns what is known of some outputs by so many entries.
func (m *memory) recall(entries int, outputs []Output) map[Output][]Output {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := map[Output][]Output{}
	for _, o := range outputs {
		if found, ok := m.known[o]; ok && m.entries == entries {
			known[o] = found
		}
	}
	return known
}

func (m *memory) remember(entries int, found map[Output][]Output) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || m.entries != entries || len(m.known)+len(found) > maxRemembered {
		m.known, m.entries = map[Output][]Output{}, entries
	}
	if len(found) <= maxRemembered {
		maps.Copy(m.known, found)
	}
}

// EvidenceBefore collects the evidence on the predecessors of each of some outputs, see
// [Pins.Predecessors].
func (m *Mirror) EvidenceBefore(ctx context.Context, pins *Pins, outputs []Output, progress Progress) ([][]*Evidence, error) {
	predecessors, err := pins.Predecessors(ctx, m, outputs)
	if err != nil {
		return nil, err
	}
	before := make([][]*Evidence, len(outputs))
	all := slices.Concat(predecessors...)
	if len(all) == 0 {
		return before, nil
	}
	evidence, err := m.EvidenceOn(ctx, pins, all, progress)
	if err != nil {
		return nil, err
	}
	for i := range predecessors {
		before[i], evidence = evidence[:len(predecessors[i])], evidence[len(predecessors[i]):]
	}
	return before, nil
}

// history looks for outputs in the revisions of sets.
type history struct {
	found map[Output][]Output // by the outputs that are looked for
}

// A standing is where a set has an output.
type standing struct {
	ecosystem, attribute, system, name string
	// versionless is the output's name without the version, where there is no attribute.
	versionless string
}

func standingOf(of string, m *pkgset.Member) standing {
	if m.Attribute != "" {
		return standing{ecosystem: of, attribute: m.Attribute, system: m.System, name: m.Output}
	}
	place, _ := ecosystem.Of(of).Place(m.Key)
	return standing{ecosystem: of, versionless: place}
}

// follow goes through the revisions of a set, oldest first, from the newest back.
func (h *history) follow(ctx context.Context, revisions []revision, attachments reading.Attachments) error {
	later := map[standing][]Output{} // that later revisions have
	for _, r := range slices.Backward(revisions[max(0, len(revisions)-lookedBack):]) {
		if !h.concerns(r.Ecosystem) {
			continue
		}
		attachment, err := attachments(ctx, r.SHA256)
		if err != nil {
			return err
		}
		if len(later) == 0 && !h.named(attachment) {
			continue
		}
		members, err := r.Members(ctx, func(context.Context, attestation.Digest) ([]byte, error) { return attachment, nil })
		if _, refused := errors.AsType[*reading.Refused](err); refused {
			continue // moves nothing, for any reader
		}
		if err != nil {
			return err
		}
		h.take(r.Ecosystem, members.Counted, later)
	}
	return nil
}

func (h *history) concerns(of string) bool {
	for o := range h.found {
		if o.Ecosystem == of {
			return true
		}
	}
	return false
}

// named reports whether an attachment may have one of the outputs: to find a few in its bytes
// takes a hundredth of the time of reading it.
func (h *history) named(attachment []byte) bool {
	const few = 16
	if len(h.found) > few {
		return true
	}
	for o := range h.found {
		if bytes.Contains(attachment, []byte(o.Key)) {
			return true
		}
	}
	return false
}

// take takes what a revision has in the places of outputs of later ones, and notes the places
// of those that it has itself.
func (h *history) take(of string, members []pkgset.Member, later map[standing][]Output) {
	there, here := map[standing][]Output{}, map[standing][]Output{}
	for i := range members {
		s, o := standingOf(of, &members[i]), Output{of, members[i].Key}
		if _, wanted := later[s]; wanted {
			there[s] = append(there[s], o)
		}
		if _, wanted := h.found[o]; wanted {
			here[s] = append(here[s], o)
		}
	}
	for s, candidates := range there {
		if len(candidates) > 1 {
			continue // whose version each is, names do not tell
		}
		for _, o := range later[s] {
			if before := candidates[0]; before != o && !slices.Contains(h.found[o], before) {
				h.found[o] = append(h.found[o], before)
			}
		}
	}
	for s, outputs := range here {
		for _, o := range outputs {
			if !slices.Contains(later[s], o) {
				later[s] = append(later[s], o)
			}
		}
	}
}
