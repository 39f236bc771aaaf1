package notify

import (
	"context"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/schedule"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/dashboard"
)

const (
	// maxChanges is how many changes one message lists.
	maxChanges = 100
	// mailRest is the least time between two mails to one subscriber.
	mailRest = 10 * time.Minute
)

// A collection is what a subscription is going to be told.
type collection struct {
	of     *state.Subscription
	from   uint64 // the first ledger entry whose changes it was not looked through for
	listed map[api.ChangeKind][]api.VerdictChange
	count  int
	last   *query.Turn // that was added last
}

// add adds a turn, if it is wanted, however often it is asked to.
func (c *collection) add(turn *query.Turn, pkg string) {
	if turn.Index < c.from || c.last == turn {
		return
	}
	c.last = turn
	change := wanted(c.of, turn, pkg)
	if change == nil {
		return
	}
	c.count++
	if len(c.listed[change.Kind]) < maxChanges {
		c.listed[change.Kind] = append(c.listed[change.Kind], *change)
	}
}

// changes are those to be listed, the most urgent first.
func (c *collection) changes() []api.VerdictChange {
	var list []api.VerdictChange
	for _, kind := range kinds() {
		list = append(list, c.listed[kind]...)
	}
	return list[:min(len(list), maxChanges)]
}

// Look looks through what the first size entries of the ledger changed, as the index has
// them, and keeps a message for each subscription that is to be told of it. One that is
// being told already is passed over, as is one whose digest is not due.
func (n *Notifier) Look(ctx context.Context, source Source, size uint64) error {
	all, err := n.state.Subscriptions(ctx)
	if err != nil {
		return err
	}
	at, from, looked := now(), size, n.looked
	n.looked = make(map[string]uint64, len(all)) // without those that are over
	var due []*collection
	for i := range all {
		of := &all[i]
		n.looked[of.ID] = max(of.Told, looked[of.ID])
		c := &collection{of: of, from: n.looked[of.ID], listed: map[api.ChangeKind][]api.VerdictChange{}}
		if of.Confirmed.IsZero() || of.Message != "" || c.from >= size && !of.Daily || !n.isTime(of, at) {
			continue
		}
		due, from = append(due, c), min(from, c.from)
	}
	if len(due) == 0 {
		return nil
	}
	if from < size {
		interested := newInterests(due)
		for turn, err := range source.Turns(ctx, from, size) {
			if err != nil {
				return err
			}
			interested.tell(turn)
		}
	}
	for _, c := range due {
		if err := n.keep(ctx, c, size, at); err != nil {
			return err
		}
	}
	return nil
}

// isTime reports whether a subscription may be told something now: a digest when it is due,
// and mails that come at once not for every entry of a ledger that grows.
func (n *Notifier) isTime(of *state.Subscription, at time.Time) bool {
	if !of.Daily {
		return of.Email == "" || at.Sub(of.Delivered) >= mailRest
	}
	next, err := schedule.Next(n.config.Digest, of.Digested)
	return err == nil && !next.After(at)
}

// keep notes what was found for a subscription.
func (n *Notifier) keep(ctx context.Context, c *collection, size uint64, at time.Time) error {
	if c.count == 0 {
		n.looked[c.of.ID] = max(c.from, size) // what is not written is looked through again after a start
		if c.of.Daily {
			return n.state.Digest(ctx, c.of.ID, size, at)
		}
		return nil
	}
	notice := api.Notice{Type: api.NoticeChanges, Timestamp: at, Data: n.about(c.of)}
	notice.Data.From, notice.Data.To, notice.Data.Changes = c.from, size, c.changes()
	notice.Data.More = c.count - len(notice.Data.Changes)
	body, err := json.Marshal(notice)
	if err != nil {
		return err
	}
	return n.state.Post(ctx, c.of.ID, state.Message{ID: messagePrefix + newID(), Body: body, Told: size}, at)
}

// messagePrefix begins the IDs of messages, as Standard Webhooks has them.
const messagePrefix = "msg_"

// about says what a subscription is of.
func (n *Notifier) about(of *state.Subscription) api.NoticeData {
	data := api.NoticeData{Subscription: of.ID, Set: of.Set, Package: of.Package, Maintainer: of.Maintainer, Changes: []api.VerdictChange{}}
	switch {
	case n.config.URL == "":
	case of.Package != "":
		data.URL = n.config.URL + "/search?" + url.Values{"q": {of.Package}}.Encode()
	default:
		data.URL = n.config.URL + api.ChangeQuery{Set: of.Set, Maintainer: of.Maintainer}.URL(dashboard.DivergencesPath)
	}
	return data
}
