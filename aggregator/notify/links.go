package notify

import (
	"context"
	"crypto/hmac"

	"repronet.dev/aggregator/state"
	"repronet.dev/dashboard"
)

// Subscription says what the link of a mail is for: what to do with which subscription.
// It implements [dashboard.Subscriptions], as does Decide.
func (n *Notifier) Subscription(ctx context.Context, id, to, token string) (*dashboard.Subscription, error) {
	of, err := n.linked(ctx, id, action(to), token)
	if err != nil {
		return nil, err
	}
	return &dashboard.Subscription{Of: subject(of), Often: often(of), Confirmed: !of.Confirmed.IsZero()}, nil
}

// Decide does what the link of a mail is for. To confirm twice is no mistake.
func (n *Notifier) Decide(ctx context.Context, id, to, token string) error {
	of, err := n.linked(ctx, id, action(to), token)
	if err != nil {
		return err
	}
	if action(to) == confirm {
		return n.state.ConfirmSubscription(ctx, of.ID, now())
	}
	_, err = n.state.Unsubscribe(ctx, of.ID)
	return err
}

// linked returns the subscription to which a link of a mail leads. A link that no mail of it
// has leads nowhere, as does one to a subscription that is over: who tries links learns
// nothing from the difference.
func (n *Notifier) linked(ctx context.Context, id string, to action, presented string) (*state.Subscription, error) {
	of, _, err := n.state.Subscription(ctx, id)
	if err != nil {
		return nil, err
	}
	known := of.Email != "" && (to == confirm || to == unsubscribe)
	if !hmac.Equal([]byte(token(of.Secret, of.ID, to)), []byte(presented)) || !known {
		return nil, dashboard.ErrNotFound
	}
	return &of, nil
}
