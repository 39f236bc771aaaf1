package dashboard

import (
	"context"

	"github.com/gin-gonic/gin"
)

// Subscriptions are what links in mails lead to. Both methods return [ErrNotFound] for a link
// that no mail has, and for a subscription that is over.
type Subscriptions interface {
	// Subscription says what a link, with its token, is about. The action is "confirm" or
	// "unsubscribe".
	Subscription(ctx context.Context, id, action, token string) (*Subscription, error)
	// Decide does what the link is for.
	Decide(ctx context.Context, id, action, token string) error
}

// A Subscription is what somebody wants to be told.
type Subscription struct {
	Of        string // in words
	Often     string // likewise
	Confirmed bool
}

type subscriptionPage struct {
	frame
	Subscription
	Button string // "": it is done, and there is nothing to press
	Done   string
}

const goneSubscription = "This link is not whole, or the subscription is over: you get no mail by it."

func (d *Dashboard) linked(c *gin.Context) (*Subscription, string, error) {
	if d.config.Subscriptions == nil {
		return nil, "", Missing(ErrNotFound, "This server tells nobody by mail.")
	}
	of, err := d.config.Subscriptions.Subscription(c.Request.Context(), c.Param("id"), c.Param("action"), c.Query("token"))
	return of, c.Param("action"), Missing(err, goneSubscription)
}

func (d *Dashboard) subscription(c *gin.Context) (string, view, error) {
	of, action, err := d.linked(c)
	if err != nil {
		return "", nil, err
	}
	v := &subscriptionPage{frame: frame{Title: "Get no more mail?"}, Subscription: *of, Button: "End it"}
	if action == "confirm" {
		v.Title, v.Button = "Do you want to be told?", "Yes, tell me"
		if of.Confirmed {
			v.Title, v.Button, v.Done = "You are told", "", "You have confirmed it. Each mail has a link that ends it."
		}
	}
	return "subscription", v, nil
}

func (d *Dashboard) decideSubscription(c *gin.Context) (string, view, error) {
	of, action, err := d.linked(c)
	if err == nil {
		err = Missing(d.config.Subscriptions.Decide(c.Request.Context(), c.Param("id"), action, c.Query("token")), goneSubscription)
	}
	if err != nil {
		return "", nil, err
	}
	v := &subscriptionPage{frame: frame{Title: "You get no more of it"}, Subscription: *of, Done: "The subscription is over, and your address is deleted here."}
	if action == "confirm" {
		v.Title, v.Done = "You are told", "From now on you get a mail when something changes. Each has a link that ends it."
	}
	return "subscription", v, nil
}
