package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/published"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// ErrBuilders is wrapped where the builder list of an aggregator is not what its
// ledger says.
var ErrBuilders = errors.New("the builder list is not the one of the ledger")

// A BuilderList is what an aggregator says of its builders, with the state of the
// ledger that it says to be the source. Nothing of it is believed yet.
type BuilderList struct {
	checkpoint *ledger.Checkpoint
	builders   []api.RosterBuilder
	from       string
}

// BuilderList asks for the builder list, and checks that the log's key signed the
// state that it names.
func (a *Aggregator) BuilderList(ctx context.Context, key note.Verifier) (*BuilderList, error) {
	list, err := a.api.Roster(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the builder list: %w", err)
	}
	c, err := ledger.OpenCheckpoint([]byte(list.Checkpoint), key)
	if err != nil {
		return nil, fmt.Errorf("reading the builder list of %s: %w", a.api.Base, err)
	}
	if c.Size != list.Size {
		return nil, fmt.Errorf("reading the builder list of %s: it is of %d entries, and its checkpoint has %d", a.api.Base, list.Size, c.Size)
	}
	return &BuilderList{c, list.Builders, a.api.Base}, nil
}

// Size is of how many of the ledger's entries the list is said to be the fold.
func (l *BuilderList) Size() uint64 { return l.checkpoint.Size }

// check checks that the list is the fold of the enrolments and revocations of a
// ledger, of which changes are the indices, ascending.
func (l *BuilderList) check(ctx context.Context, tree *ledger.Tree, changes []uint64) error {
	roster := enrolment.NewRoster()
	for _, index := range changes {
		if index >= l.checkpoint.Size {
			break
		}
		record, err := tree.Record(ctx, index)
		if err != nil {
			return err
		}
		entry, err := reading.Decode(record)
		if err == nil {
			err = reading.Known(index, entry)
		}
		if errors.Is(err, reading.ErrNewerRules) {
			return err
		}
		if err != nil {
			continue // about nothing, for any reader
		}
		// What cannot be applied moves nothing, for any reader.
		_, _, _ = roster.Apply(index, entry.Kind, entry.Body)
	}
	ours, theirs := published.Builders(roster), slices.Clone(l.builders)
	for i := range theirs {
		theirs[i].OpenPGP = slices.Clone(theirs[i].OpenPGP)
		for k := range theirs[i].OpenPGP {
			theirs[i].OpenPGP[k].Erased = false // for the one who asks for the attachment to find
		}
	}
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(theirs):
			return fmt.Errorf("%w: it lacks builder %s, whom ledger index %d enrols", ErrBuilders, ours[i].ID, ours[i].EnrolledAt)
		case i >= len(ours):
			return fmt.Errorf("%w: it has builder %.60q, whom nothing in the ledger enrols", ErrBuilders, theirs[i].ID)
		case !sameBuilder(ours[i], theirs[i]):
			return fmt.Errorf("%w: what it says in the place of builder %s of operator %s, whom ledger index %d enrols, is something else",
				ErrBuilders, ours[i].ID, ours[i].Operator, ours[i].EnrolledAt)
		}
	}
	return nil
}

func sameBuilder(a, b api.RosterBuilder) bool {
	if !a.NotBefore.Equal(b.NotBefore) || !a.NotAfter.Equal(b.NotAfter) {
		return false
	}
	a.NotBefore, a.NotAfter = b.NotBefore, b.NotAfter // one time can be written in several ways
	return reflect.DeepEqual(a, b)
}

// CheckBuilders checks that a builder list is the fold of the mirrored ledger, which
// has been updated since, and that it is not older than seen entries.
func (m *Mirror) CheckBuilders(ctx context.Context, l *BuilderList, seen uint64) error {
	if l.Size() < seen {
		return fmt.Errorf("the builder list of %s is %w: it is of %d entries, this mirror had %d of the ledger", l.from, ErrStale, l.Size(), seen)
	}
	tree := m.Tree()
	if l.Size() > tree.Size() {
		return fmt.Errorf("the builder list of %s is of %d entries, and the log shows %d: %w", l.from, l.Size(), tree.Size(), ErrStale)
	}
	if err := tree.CheckContinues(ctx, l.checkpoint); err != nil {
		return err
	}
	m.mu.RLock()
	err := m.index.covers(l.Size())
	m.mu.RUnlock()
	if err != nil {
		return err
	}
	changes, err := m.RosterEntries()
	if err != nil {
		return err
	}
	return l.check(ctx, tree, changes)
}

// CheckBuilders checks that a builder list is the fold of the ledger, with a proof by
// the map where there is one, and that the ledger continues what was seen before. It
// remembers that.
func (l *Light) CheckBuilders(ctx context.Context, list *BuilderList) error {
	key, err := l.Pins.Verifier()
	if err != nil {
		return err
	}
	reader, latest, proof, err := l.proof(ctx, key, ecosystem.Generic, "repronet/builders") // any name has the proof of the roster with it
	noMap := errors.Is(err, fs.ErrNotExist)
	if err != nil && !noMap {
		return err
	}
	seen, err := l.seen(key)
	if err != nil {
		return err
	}
	if seen != nil && list.Size() < seen.Size {
		return fmt.Errorf("the builder list of %s is %w: it is of %d entries, %d were seen of the ledger", list.from, ErrStale, list.Size(), seen.Size)
	}
	if list.Size() > latest.Size {
		return fmt.Errorf("the builder list of %s is of %d entries, and the log shows %d: %w", list.from, list.Size(), latest.Size, ErrStale)
	}
	tree := reader.Tree(latest)
	if err := tree.CheckContinues(ctx, list.checkpoint); err != nil {
		return err
	}
	f, from := &found{}, uint64(0)
	if !noMap {
		root, err := l.root(ctx, tree, latest, proof.Receipt)
		if err != nil {
			return err
		}
		if f.changes, err = listed(root, proof.Roster, outputmap.RosterKey()); err != nil {
			return err
		}
		from = root.Size
	}
	nothing := func(attestation.OutputID) bool { return false }
	if err := f.tail(ctx, tree, from, nothing); err != nil {
		return err
	}
	if err := list.check(ctx, tree, f.changes); err != nil {
		return err
	}
	return l.remember(ctx, reader, latest)
}

// proof asks for a map's proof, and then for the newest state. If there is no map yet,
// the error wraps fs.ErrNotExist, and the state is returned all the same.
func (l *Light) proof(ctx context.Context, key note.Verifier, ecosystem, output string) (*ledger.Reader, *ledger.Checkpoint, *api.MapProof, error) {
	answer, asking := l.Aggregator.api.MapProof(ctx, ecosystem, output)
	switch {
	case errors.Is(asking, fs.ErrNotExist):
		answer = &api.MapProof{}
	case asking != nil:
		return nil, nil, nil, asking
	case answer.Receipt == nil:
		return nil, nil, nil, errNoReceipt
	}
	reader, latest, err := l.newest(ctx, key)
	if err != nil {
		return nil, nil, nil, err
	}
	return reader, latest, answer, asking
}

// newest asks for the newest state of the ledger, which the pinned witnesses must have
// cosigned.
func (l *Light) newest(ctx context.Context, key note.Verifier) (*ledger.Reader, *ledger.Checkpoint, error) {
	reader := ledger.NewReader(l.Aggregator.Log(), key)
	latest, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, nil, err
	}
	witnesses, err := l.Pins.Cosigners()
	if err == nil {
		_, err = witnesses.Check(latest)
	}
	if err != nil {
		return nil, nil, err
	}
	return reader, latest, nil
}
