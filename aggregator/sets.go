package aggregator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unicode"

	"repronet.dev/aggregator/admin"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
)

// setCatalogue knows every revision of every package set: what a new one is compared
// with. It is read from the ledger when it is asked for the first time, and follows what
// this process, the ledger's one writer, publishes.
type setCatalogue struct {
	mu        sync.Mutex // guards what is below, from a look at the revisions to the entry that follows from it
	loaded    bool
	revisions []admin.SetRevision // in ledger order

	// newestByName are the newest revisions by name, for those who only read; nil while not
	// loaded. The map is never changed.
	newestByName atomic.Pointer[map[string]publishedSet]
}

// A publishedSet is a revision of a package set, and the ledger entry that published it.
type publishedSet struct {
	pkgset.Entry
	index uint64
}

// newestSets returns the newest revisions by name. It waits for no one who publishes.
func (a *Aggregator) newestSets(ctx context.Context) (map[string]publishedSet, error) {
	if newest := a.sets.newestByName.Load(); newest != nil {
		return *newest, nil
	}
	c, err := a.lockSets(ctx)
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	return c.tell(), nil
}

// tell has those who only read see what is published. c.mu is held.
func (c *setCatalogue) tell() map[string]publishedSet {
	newest := map[string]publishedSet{}
	for i := range c.revisions {
		r := &c.revisions[i]
		newest[r.Name] = publishedSet{
			pkgset.Entry{Name: r.Name, Revision: r.Revision, Ecosystem: r.Ecosystem, Members: r.Outputs, SHA256: r.SHA256}, r.Index,
		}
	}
	c.newestByName.Store(&newest)
	return newest
}

// lockSets returns the catalogue, loaded and locked.
func (a *Aggregator) lockSets(ctx context.Context) (*setCatalogue, error) {
	c := &a.sets
	c.mu.Lock()
	if c.loaded {
		return c, nil
	}
	if err := c.load(ctx, a); err != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("reading the package sets: %w", err)
	}
	return c, nil
}

// load reads what the index knows where to find, and the ledger's tail behind the index.
func (c *setCatalogue) load(ctx context.Context, a *Aggregator) error {
	c.revisions = nil
	tables, release := a.store.Acquire()
	defer release()
	watermark, err := tables.Watermark(ctx)
	if err != nil {
		return err
	}
	indices, err := tables.SetEntries(ctx, watermark.Size)
	if err != nil {
		return err
	}
	for _, index := range indices {
		entry, err := a.ledger.Entry(ctx, index)
		if err != nil {
			return err
		}
		c.add(index, entry)
	}
	next := watermark.Size
	for entry, err := range a.ledger.Entries(ctx, next, a.ledger.Size()) {
		if err != nil {
			return err
		}
		if entry.Kind == ledger.PackageSet {
			c.add(next, entry)
		}
		next++
	}
	c.loaded = true
	return nil
}

// add takes a revision in. An entry that cannot be read moves nothing, for any reader.
func (c *setCatalogue) add(index uint64, entry *ledger.Entry) {
	e, err := pkgset.ParseEntry(entry.Body)
	if err != nil {
		return
	}
	revision := admin.SetRevision{
		Index: index, Name: e.Name, Revision: e.Revision, Ecosystem: e.Ecosystem,
		Outputs: e.Members, SHA256: e.SHA256, Published: entry.ReceivedAt, Current: true,
	}
	if at := c.newest(e.Name, len(c.revisions)); at >= 0 {
		c.revisions[at].Current = false
	}
	if at, err := c.find(e.Name, e.Revision); err == nil && c.revisions[at].SHA256 != e.SHA256 {
		replaced := c.revisions[at].Index
		revision.Replaces = &replaced
	}
	c.revisions = append(c.revisions, revision)
}

// newest returns the place of a set's newest revision before a place; -1 if there is none.
func (c *setCatalogue) newest(name string, before int) int {
	for i := before - 1; i >= 0; i-- {
		if c.revisions[i].Name == name {
			return i
		}
	}
	return -1
}

// find returns the place of the newest entry that published a revision of a set; of the
// set's newest if the revision is empty.
func (c *setCatalogue) find(name, revision string) (int, error) {
	at := c.newest(name, len(c.revisions))
	if at < 0 {
		return 0, admin.Errorf(admin.NotFound, "no package set %q was published: 'sets list' lists them", name)
	}
	for revision != "" && at >= 0 && c.revisions[at].Revision != revision {
		at = c.newest(name, at)
	}
	if at < 0 {
		return 0, admin.Errorf(admin.NotFound, "package set %s has no revision %q: 'sets list --all' lists them", name, revision)
	}
	return at, nil
}

// publishSet publishes a set. Its members are durable as an attachment before the entry
// that names them.
func (a administration) publishSet(ctx context.Context, set admin.Set, streams admin.Streams) (admin.Published, error) {
	lines := &lineCounter{in: streams.Input}
	list, err := pkgset.Parse(set.Ecosystem, lines)
	if err != nil {
		return admin.Published{}, admin.Errorf(admin.Invalid, "%w", err)
	}
	lines.end()
	published := admin.Published{
		Lines: lines.all, Passed: lines.passed, Failed: list.Failed, Taken: list.Lines, Skipped: list.Skipped, Lacks: list.Lacks,
	}
	if len(list.Members) == 0 {
		return published, admin.Errorf(admin.Invalid, "%w", nothingPublished(list))
	}
	published.Fixed = len(list.Members) - pkgset.Count(list.Members)
	return published, a.writeSet(ctx, set, list.Members, &published)
}

// nothingPublished says why a list has no members.
func nothingPublished(list *pkgset.List) error {
	switch {
	case list.Skipped.Count > 0:
		return fmt.Errorf("the list names no outputs: %s", list.Skipped.Say("line"))
	case list.Failed > 0:
		return fmt.Errorf("the list names no outputs: none of its %d attributes could be evaluated", list.Failed)
	default:
		return errors.New("the list names no outputs: it is empty")
	}
}

// retireSet publishes a revision without outputs: from its entry on, the set has none.
// Every reader of the ledger knows such an entry, and publishing the set again ends it.
func (a administration) retireSet(ctx context.Context, r admin.Retirement) (admin.Published, error) {
	var published admin.Published
	sets, err := a.lockSets(ctx)
	if err != nil {
		return published, err
	}
	at, err := sets.find(r.Name, "")
	var newest admin.SetRevision
	if err == nil {
		newest = sets.revisions[at]
	}
	sets.mu.Unlock()
	switch {
	case err != nil:
		return published, err
	case newest.Outputs == 0:
		return admin.Published{SetRevision: newest, Known: true}, nil
	}
	set := admin.Set{Name: r.Name, Revision: r.Revision, Ecosystem: newest.Ecosystem, Shrink: true, Replace: true}
	return published, a.writeSet(ctx, set, nil, &published)
}

// writeSet writes a revision to the ledger, if it may be.
func (a administration) writeSet(ctx context.Context, set admin.Set, members []pkgset.Member, published *admin.Published) error {
	attachment, err := pkgset.Encode(set.Ecosystem, members)
	if err != nil {
		return err
	}
	entry := pkgset.Entry{
		Name: set.Name, Revision: set.Revision, Ecosystem: set.Ecosystem, Members: pkgset.Count(members), SHA256: sha256.Sum256(attachment),
	}
	body, err := entry.Encode()
	if err != nil {
		return admin.Errorf(admin.Invalid, "%w", err)
	}
	sets, err := a.lockSets(ctx)
	if err != nil {
		return err
	}
	defer sets.mu.Unlock()
	if at := sets.newest(set.Name, len(sets.revisions)); at >= 0 {
		before := sets.revisions[at]
		published.Before = before.Outputs
		if before.Revision == entry.Revision && before.SHA256 == entry.SHA256 && before.Ecosystem == entry.Ecosystem {
			published.SetRevision, published.Known = before, true
			return nil
		}
	}
	if err := sets.allows(set, &entry, published.Before); err != nil {
		return err
	}
	if _, err := a.ledger.attachments.Put(bytes.NewReader(attachment)); err != nil {
		return fmt.Errorf("storing the set's members: %w", err)
	}
	// What was begun is written, or the catalogue would not know of it.
	index, err := a.ingest.PublishSet(context.WithoutCancel(ctx), body)
	if err != nil {
		return fmt.Errorf("writing the set to the ledger: %w", err)
	}
	written, err := a.ledger.Entry(context.WithoutCancel(ctx), index)
	if err != nil {
		sets.loaded = false // to be read again
		sets.newestByName.Store(nil)
		return fmt.Errorf("the set is published at ledger index %d; reading it back: %w", index, err)
	}
	sets.add(index, written)
	sets.tell()
	published.SetRevision = sets.revisions[len(sets.revisions)-1]
	return nil
}

// allows reports why a revision should not be published without a word more.
func (c *setCatalogue) allows(set admin.Set, entry *pkgset.Entry, before int) error {
	if at, err := c.find(entry.Name, entry.Revision); err == nil && c.revisions[at].SHA256 != entry.SHA256 && !set.Replace {
		r := &c.revisions[at]
		return admin.Errorf(admin.Exists,
			"revision %q of package set %s was published at ledger index %d with another content (%d outputs, now %d): give the new content a revision of its own, or say --replace if that one was a mistake",
			entry.Revision, entry.Name, r.Index, r.Outputs, entry.Members)
	}
	if !set.Shrink && 2*entry.Members < before {
		return admin.Errorf(admin.Shrinks, "package set %s would shrink from %d outputs to %d: is the list complete?", entry.Name, before, entry.Members)
	}
	return nil
}

func (a administration) listSets(ctx context.Context, _ admin.None) ([]admin.SetRevision, error) {
	sets, err := a.lockSets(ctx)
	if err != nil {
		return nil, err
	}
	defer sets.mu.Unlock()
	return append([]admin.SetRevision{}, sets.revisions...), nil
}

func (a administration) showSet(ctx context.Context, name admin.SetName) (admin.SetContents, error) {
	sets, err := a.lockSets(ctx)
	if err != nil {
		return admin.SetContents{}, err
	}
	at, err := sets.find(name.Name, name.Revision)
	var contents admin.SetContents
	if err == nil {
		contents.SetRevision = sets.revisions[at]
	}
	sets.mu.Unlock()
	if err != nil {
		return contents, err
	}
	contents.Members, err = a.setMembers(ctx, &contents.SetRevision)
	return contents, err
}

func (a *Aggregator) setMembers(ctx context.Context, r *admin.SetRevision) ([]pkgset.Member, error) {
	set := reading.Set{Entry: &pkgset.Entry{Name: r.Name, Revision: r.Revision, Ecosystem: r.Ecosystem, Members: r.Outputs, SHA256: r.SHA256}}
	members, err := set.Members(ctx, a.ledger.Attachment)
	if err != nil {
		return nil, fmt.Errorf("reading the members of package set %s: %w", r.Name, err)
	}
	return members.All(), nil
}

func (a administration) diffSets(ctx context.Context, pair admin.SetPair) (admin.SetDifference, error) {
	d := admin.SetDifference{Added: []pkgset.Member{}, Removed: []pkgset.Member{}}
	var err error
	if d.From, d.To, err = a.setPair(ctx, pair); err != nil {
		return d, err
	}
	from, err := a.setMembers(ctx, &d.From)
	if err != nil {
		return d, err
	}
	to, err := a.setMembers(ctx, &d.To)
	if err != nil {
		return d, err
	}
	old := make(map[string]bool, len(from))
	for i := range from {
		old[from[i].Key] = true
	}
	for i := range to {
		if old[to[i].Key] {
			d.Kept++
			delete(old, to[i].Key)
		} else {
			d.Added = append(d.Added, to[i])
		}
	}
	for i := range from {
		if old[from[i].Key] {
			d.Removed = append(d.Removed, from[i])
		}
	}
	return d, nil
}

// setPair finds the two revisions that are to be compared.
func (a administration) setPair(ctx context.Context, pair admin.SetPair) (from, to admin.SetRevision, err error) {
	sets, err := a.lockSets(ctx)
	if err != nil {
		return from, to, err
	}
	defer sets.mu.Unlock()
	newer, err := sets.find(pair.Name, pair.To)
	if err != nil {
		return from, to, err
	}
	older := sets.newest(pair.Name, newer)
	if pair.From != "" {
		if older, err = sets.find(pair.Name, pair.From); err != nil {
			return from, to, err
		}
	}
	if older < 0 {
		return from, to, admin.Errorf(admin.NotFound, "package set %s has no revision before %q", pair.Name, sets.revisions[newer].Revision)
	}
	return sets.revisions[older], sets.revisions[newer], nil
}

// A lineCounter counts the lines of a list as they are read.
type lineCounter struct {
	in          io.Reader
	all, passed int
	begin       []byte // of the line that is read: enough to tell whether it names something
	open        bool   // something was read of a line that has not ended
}

// Read implements [io.Reader].
func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for part := range bytes.Lines(p[:n]) {
		l.open = true
		if len(l.begin) == 0 {
			l.begin = append(l.begin, bytes.TrimLeftFunc(part, unicode.IsSpace)...)
			l.begin = l.begin[:min(len(l.begin), 1)]
		}
		if part[len(part)-1] == '\n' {
			l.end()
		}
	}
	return n, err
}

// end counts the line that is open.
func (l *lineCounter) end() {
	if !l.open {
		return
	}
	l.all++
	if len(l.begin) == 0 || l.begin[0] == '#' {
		l.passed++
	}
	l.begin, l.open = l.begin[:0], false
}
