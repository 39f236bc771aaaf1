package admin

import (
	"context"
	"net/http"
	"time"

	"repronet/enrolment"
	"repronet/signing"
)

// Joining is what an operator decides about those who ask to be enrolled.
type Joining interface {
	// Pending lists the requests that wait, oldest first.
	Pending(ctx context.Context) ([]Pending, error)
	// Approve enrols the builder of a request that waits, and returns the ledger
	// index and the operator.
	Approve(ctx context.Context, a Approval) (index uint64, operator string, err error)
	// Reject refuses a request, with a reason that the sender is told.
	Reject(ctx context.Context, builder signing.BuilderID, reason string) error
	// Vouch moves all builders of an operator, named by itself or by one of
	// them, to tier counted.
	Vouch(ctx context.Context, name string) (moved []signing.BuilderID, operator string, err error)
}

// Pending is a request that waits.
type Pending struct {
	Builder       signing.BuilderID `json:"builder"`
	Operator      string            `json:"operator,omitempty"` // wanted
	OperatorKnown bool              `json:"operatorKnown"`      // it has builders already
	Contact       string            `json:"contact,omitempty"`
	Identity      string            `json:"identity,omitempty"` // of Sigstore, checked
	Created       time.Time         `json:"created"`            // by the sender's clock
	Received      time.Time         `json:"received"`
}

// Approval is the decision to enrol a builder.
type Approval struct {
	Builder  signing.BuilderID `json:"builder"`
	Operator string            `json:"operator,omitempty"` // in place of the wanted one
	Tier     enrolment.Tier    `json:"tier,omitempty"`     // counted if empty
}

// Bodies of requests and answers.
type (
	approved struct {
		Index    uint64 `json:"index"`
		Operator string `json:"operator"`
	}
	rejection struct {
		Builder signing.BuilderID `json:"builder"`
		Reason  string            `json:"reason"`
	}
	vouching struct {
		Name string `json:"name"`
	}
	vouched struct {
		Moved    []signing.BuilderID `json:"moved"`
		Operator string              `json:"operator"`
	}
)

func handleJoining(mux *http.ServeMux, service Joining) {
	mux.HandleFunc("POST /pending", func(w http.ResponseWriter, r *http.Request) {
		pending, err := service.Pending(r.Context())
		reply(w, pending, err)
	})
	mux.HandleFunc("POST /approve", func(w http.ResponseWriter, r *http.Request) {
		var a Approval
		if decode(w, r, &a) {
			index, operator, err := service.Approve(r.Context(), a)
			reply(w, approved{index, operator}, err)
		}
	})
	mux.HandleFunc("POST /reject", func(w http.ResponseWriter, r *http.Request) {
		var refused rejection
		if decode(w, r, &refused) {
			reply(w, struct{}{}, service.Reject(r.Context(), refused.Builder, refused.Reason))
		}
	})
	mux.HandleFunc("POST /vouch", func(w http.ResponseWriter, r *http.Request) {
		var named vouching
		if decode(w, r, &named) {
			moved, operator, err := service.Vouch(r.Context(), named.Name)
			reply(w, vouched{moved, operator}, err)
		}
	})
}

func (c *client) Pending(ctx context.Context) ([]Pending, error) {
	var pending []Pending
	err := c.call(ctx, "/pending", http.NoBody, &pending)
	return pending, err
}

func (c *client) Approve(ctx context.Context, a Approval) (uint64, string, error) {
	var answer approved
	err := c.document(ctx, "/approve", a, &answer)
	return answer.Index, answer.Operator, err
}

func (c *client) Reject(ctx context.Context, builder signing.BuilderID, reason string) error {
	return c.document(ctx, "/reject", rejection{builder, reason}, &struct{}{})
}

func (c *client) Vouch(ctx context.Context, name string) ([]signing.BuilderID, string, error) {
	var answer vouched
	err := c.document(ctx, "/vouch", vouching{name}, &answer)
	return answer.Moved, answer.Operator, err
}
