package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"repronet.dev/aggregator/state"
	"repronet.dev/dashboard"
)

const (
	// deliverPoll is how often messages are looked for.
	deliverPoll = time.Second
	// deliverPlaces is how many messages are sent at once for the first time, and as many
	// again: targets that are dead or slow never hold up one that is not.
	deliverPlaces = 16
	// deliverTime bounds one attempt.
	deliverTime = mailTime + 5*time.Second
	// noteTime bounds the writing down of what became of it.
	noteTime = 10 * time.Second
	// longestFailure bounds, in characters, what is kept of why an attempt failed.
	longestFailure = 200
)

// pauses are those before the next attempts, as Standard Webhooks proposes them: about a day
// in all. After them a subscription is failing, and the last pause is between all others.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
}

// isFailing reports whether a subscription could not be told anything for about a day.
func isFailing(of *state.Subscription) bool { return of.Attempts > len(pauses()) }

// Run delivers messages until ctx ends, and then waits for those that are being sent, which
// are broken off.
func (n *Notifier) Run(ctx context.Context) {
	first, again := semaphore.NewWeighted(deliverPlaces), semaphore.NewWeighted(deliverPlaces)
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(deliverPoll)
	defer tick.Stop()
	for {
		due, err := n.state.Due(ctx, now())
		if err != nil && ctx.Err() == nil {
			n.config.Logger.ErrorContext(ctx, "looking for messages to deliver", "error", err)
		}
		for i := range due {
			places := first
			if due[i].Attempts > 0 {
				places = again
			}
			if !n.begin(due[i].ID) {
				continue
			}
			if !places.TryAcquire(1) {
				n.end(due[i].ID)
				continue
			}
			all.Go(func() {
				defer places.Release(1)
				defer n.end(due[i].ID)
				if err := n.deliver(ctx, &due[i]); err != nil {
					n.config.Logger.ErrorContext(ctx, "delivering a message", "subscription", due[i].ID, "error", err)
				}
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// begin takes a subscription to send a message to, unless one is being sent.
func (n *Notifier) begin(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sending[id] {
		return false
	}
	n.sending[id] = true
	return true
}

func (n *Notifier) end(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sending, id)
}

// deliver tries to deliver the message of a subscription, and notes what became of it. An
// error is of this server.
func (n *Notifier) deliver(ctx context.Context, of *state.Subscription) error {
	m, err := n.state.Message(ctx, of.ID)
	if err != nil || m.ID == "" {
		return err
	}
	err = n.send(ctx, of, &m)
	if err != nil && ctx.Err() != nil {
		return nil // the server stops: that says nothing of the target
	}
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if err == nil {
		n.count(of, "delivered")
		return n.state.Delivered(noting, of.ID, m.ID, now())
	}
	n.count(of, "failed")
	why := dashboard.Plain(err.Error(), longestFailure)
	n.config.Logger.WarnContext(ctx, "a subscriber was not told", "subscription", of.ID, "attempts", of.Attempts+1, "error", why)
	pause := pauses()[min(of.Attempts, len(pauses())-1)]
	pause += time.Duration(rand.Int64N(int64(pause) / 10)) //nolint:gosec // so that many do not come back at once
	return n.state.Failed(noting, of.ID, m.ID, why, now(), now().Add(pause))
}

// send sends a message. What panics is an error of the message.
func (n *Notifier) send(ctx context.Context, of *state.Subscription, m *state.Message) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			n.config.Logger.ErrorContext(ctx, "sending a message panicked", "reason", fmt.Sprint(reason), "stack", string(debug.Stack()))
			err = errors.New("a fault of the server: its log says more")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, deliverTime)
	defer cancel()
	if of.Webhook != "" {
		return n.hooks.Post(ctx, of.Webhook, signed(of.Secret, m.ID, time.Now(), m.Body), m.Body)
	}
	if err := n.canMail(); err != nil {
		return err
	}
	l, err := n.letter(of, m)
	if err != nil {
		return err
	}
	return n.config.Mail.send(ctx, l)
}

// canMail reports why no mail can be sent.
func (n *Notifier) canMail() error {
	switch {
	case n.config.Mail == nil:
		return errors.New("no mail server is configured: set notify.smtp.host")
	case n.config.URL == "":
		return errors.New("mails need links, and the server's address is not known: set url")
	}
	return nil
}
