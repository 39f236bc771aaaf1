package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
)

const (
	longestWanted  = 200  // bytes of the name of a set, package or maintainer
	longestWebhook = 2048 // bytes of a URL
)

// Subscribe adds a subscription. A mail address is asked to confirm it, by the server that
// runs or runs next.
func (n *Notifier) Subscribe(ctx context.Context, wanted admin.Wanted) (admin.Subscribed, error) {
	if len(wanted.Changes) == 0 {
		wanted.Changes = []api.ChangeKind{api.ChangeRegressed, api.ChangeDiverged, api.ChangeFixed}
	}
	if err := n.check(ctx, &wanted); err != nil {
		return admin.Subscribed{}, err
	}
	of := state.Subscription{
		ID: newID(), Set: wanted.Set, Package: wanted.Package, Maintainer: wanted.Maintainer, Kinds: wanted.Changes, Daily: wanted.Daily,
		Webhook: wanted.Webhook, Email: wanted.Email, Secret: newSecret(), Created: now(), Told: n.config.Size(),
	}
	var first state.Message
	if of.Webhook != "" {
		of.Confirmed = of.Created
	} else {
		first = question(&of)
		of.Message = first.ID
	}
	if err := n.state.Subscribe(ctx, of, first); errors.Is(err, state.ErrManySubscriptions) {
		return admin.Subscribed{}, admin.Errorf(admin.Conflict, "there are %d subscriptions already, which is the most there can be: remove one with 'subscriptions remove'", state.MaxSubscriptions)
	} else if err != nil {
		return admin.Subscribed{}, err
	}
	added := admin.Subscribed{Subscription: shown(&of)}
	if of.Webhook != "" {
		added.Secret = secretText(of.Secret)
	}
	return added, nil
}

// question is the message that asks an address whether it wants to be told. Its words follow
// from the subscription.
func question(of *state.Subscription) state.Message {
	return state.Message{ID: messagePrefix + newID(), Body: []byte{}, Told: of.Told}
}

// check reports what of a subscription cannot be.
func (n *Notifier) check(ctx context.Context, wanted *admin.Wanted) error {
	names := 0
	for _, name := range []string{wanted.Set, wanted.Package, wanted.Maintainer} {
		if name != "" {
			names++
		}
		if len(name) > longestWanted || strings.ContainsFunc(name, unicode.IsControl) {
			return admin.Errorf(admin.Invalid, "%.100q is no name of a package set, package or maintainer: it has control characters, or more than %d bytes", name, longestWanted)
		}
	}
	if names > 1 {
		return admin.Errorf(admin.Invalid, "a subscription is of one package set, one package, one maintainer or everything: add several")
	}
	if wanted.Set != "" {
		if known, err := n.config.HasSet(ctx, wanted.Set); err != nil {
			return err
		} else if !known {
			return admin.Errorf(admin.NotFound, "no package set %q was published: 'sets list' lists them", wanted.Set)
		}
	}
	for i, kind := range wanted.Changes {
		if !slices.Contains(kinds(), kind) || slices.Contains(wanted.Changes[:i], kind) {
			return admin.Errorf(admin.Invalid, "%.40q is no kind of change, or is named twice: want some of %s", kind, strings.Join(api.ChangeDiverged.Values(), ", "))
		}
	}
	switch {
	case (wanted.Webhook == "") == (wanted.Email == ""):
		return admin.Errorf(admin.Invalid, "want either a webhook or a mail address")
	case wanted.Webhook != "":
		return checkWebhook(wanted.Webhook)
	}
	if err := CheckAddress(wanted.Email); err != nil {
		return admin.Errorf(admin.Invalid, "%w", err)
	}
	if err := n.canMail(); err != nil {
		return admin.Errorf(admin.Invalid, "%w", err)
	}
	return nil
}

func checkWebhook(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" || len(address) > longestWebhook {
		return admin.Errorf(admin.Invalid, "%.100q is no address of a webhook, such as https://chat.example.org/hook", address)
	}
	if u.User != nil {
		return admin.Errorf(admin.Invalid, "a webhook's address has no user and password in it: whoever gets it checks its signature")
	}
	return nil
}

// Subscriptions lists the subscriptions, oldest first.
func (n *Notifier) Subscriptions(ctx context.Context) ([]admin.Subscription, error) {
	all, err := n.state.Subscriptions(ctx)
	list := make([]admin.Subscription, len(all)) // [] in JSON, never null
	for i := range all {
		list[i] = shown(&all[i])
	}
	return list, err
}

func shown(of *state.Subscription) admin.Subscription {
	return admin.Subscription{
		ID:    of.ID,
		State: standing(of), Created: of.Created, Told: of.Told, Delivered: of.Delivered,
		Wanted:   admin.Wanted{Set: of.Set, Package: of.Package, Maintainer: of.Maintainer, Changes: of.Kinds, Daily: of.Daily, Webhook: of.Webhook, Email: of.Email},
		Attempts: of.Attempts, FailedSince: of.FailedSince, Failure: of.Failure, NextAttempt: of.NextAttempt,
	}
}

// named returns the subscription whose ID begins with a text.
func (n *Notifier) named(ctx context.Context, text string) (*state.Subscription, error) {
	all, err := n.state.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(all, func(of state.Subscription) bool { return !strings.HasPrefix(of.ID, text) })
	switch {
	case text == "" || len(others) == 0:
		return nil, admin.Errorf(admin.NotFound, "no subscription has an ID that begins with %.40q: 'subscriptions list' lists them", text)
	case len(others) > 1:
		return nil, admin.Errorf(admin.Ambiguous, "%d subscriptions have an ID that begins with %q: give more of it", len(others), text)
	}
	return &others[0], nil
}

// Unsubscribe removes a subscription, and what was to be told.
func (n *Notifier) Unsubscribe(ctx context.Context, id string) (admin.Subscription, error) {
	of, err := n.named(ctx, id)
	if err != nil {
		return admin.Subscription{}, err
	}
	_, err = n.state.Unsubscribe(ctx, of.ID)
	return shown(of), err
}

// Test sends something to a subscription, and returns when it arrived or why it did not.
func (n *Notifier) Test(ctx context.Context, id string) (admin.Tested, error) {
	of, err := n.named(ctx, id)
	if err != nil {
		return admin.Tested{}, err
	}
	tested := admin.Tested{Subscription: shown(of), Asked: of.Confirmed.IsZero()}
	m := question(of)
	if !tested.Asked {
		if m.Body, err = json.Marshal(api.Notice{Type: api.NoticeTest, Timestamp: now(), Data: n.about(of)}); err != nil {
			return admin.Tested{}, err
		}
	}
	if err := n.send(ctx, of, &m); err != nil {
		n.count(of, "failed")
		return admin.Tested{}, admin.Errorf(admin.Failed, "subscription %s cannot be told anything: %w", of.ID, err)
	}
	n.count(of, "delivered")
	return tested, nil
}

// LookAfter deletes subscriptions that were not confirmed in time, and fails if some
// could not be told anything for about a day: their operator has to do something.
func (n *Notifier) LookAfter(ctx context.Context) error {
	if err := n.state.ExpireSubscriptions(ctx, now()); err != nil {
		return err
	}
	all, err := n.state.Subscriptions(ctx)
	if err != nil {
		return err
	}
	failing := len(slices.DeleteFunc(all, func(of state.Subscription) bool { return !isFailing(&of) }))
	switch failing {
	case 0:
		return nil
	case 1:
		return errors.New("one subscriber could not be told anything for a day: 'repronet-aggregator subscriptions list' says who and why")
	}
	return fmt.Errorf("%d subscribers could not be told anything for a day: 'repronet-aggregator subscriptions list' says who and why", failing)
}
