package admin

import (
	"time"

	"repronet.dev/api"
)

// Wanted is what a subscriber is told of, and where.
type Wanted struct {
	// Of these, one at most is given; without any, it is everything.
	Set        string `json:"set,omitempty"`
	Package    string `json:"package,omitempty"` // an attribute, or a name without its version
	Maintainer string `json:"maintainer,omitempty"`

	Changes []api.ChangeKind `json:"changes"`
	Daily   bool             `json:"daily"` // in a digest a day; else at once

	// Of these, one is given.
	Webhook string `json:"webhook,omitempty"` // a URL
	Email   string `json:"email,omitempty"`   // an address
}

// Subscribed is a subscription that was added.
type Subscribed struct {
	Subscription
	// Secret is what a webhook's messages are signed with. It is not shown again.
	Secret string `json:"secret,omitempty"`
}

// A SubscriptionName names a subscription by an unambiguous beginning of its ID.
type SubscriptionName struct {
	ID string `json:"id"`
}

// A Subscription is who is told of what, and how that is going.
type Subscription struct {
	ID string `json:"id"`
	Wanted
	// State is "active", "unconfirmed" (the address has not confirmed it) or "failing"
	// (nothing could be delivered for about a day).
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Told      uint64    `json:"told"` // ledger entries up to which it was told
	Delivered time.Time `json:"delivered,omitzero"`
	// What follows is of the message that could not be delivered, if there is one.
	Attempts    int       `json:"attempts,omitempty"`
	FailedSince time.Time `json:"failedSince,omitzero"`
	Failure     string    `json:"failure,omitempty"`
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
}

// Tested says what was sent.
type Tested struct {
	Subscription
	Asked bool `json:"asked"` // it was the question whether the address confirms it
}
