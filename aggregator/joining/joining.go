package joining

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"repronet.dev/aggregator/fair"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// Ledger is where enrolments go. What a method wrote is durable when it returns.
type Ledger interface {
	Enrol(ctx context.Context, e *enrolment.Enrolment) (index uint64, err error)
	Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (index uint64, err error)
	// Attach stores what an enrolment is going to name.
	Attach(ctx context.Context, content io.Reader) (attestation.Digest, error)
	// Receipt waits until a published checkpoint covers the index.
	Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error)
}

// Config says whose requests are taken, and how.
type Config struct {
	Origin string // of the ledger
	Policy Policy
	// Networks tells apart where requests come from.
	Networks fair.Networks
	Logger   *slog.Logger
}

// Joining takes requests and carries out what operators decide about them. Its
// zero value does not work; use [New].
type Joining struct {
	config Config
	state  *state.State
	roster *enrolment.Roster // up to the ledger's end
	ledger Ledger
	limits *fair.Rates
	ready  atomic.Bool
	secret []byte     // of pseudonyms; set once, before ready
	mu     sync.Mutex // held from a look at the roster to the enrolment that follows from it
}

// New returns a Joining. It takes nothing until [Joining.Ready] is called, because
// the roster has to be complete first.
func New(config Config, s *state.State, roster *enrolment.Roster, l Ledger) *Joining {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Joining{config: config, state: s, roster: roster, ledger: l, limits: newLimits()}
}

// Ready opens the way in. The secret is what the names of identities' operators are made
// from; it has to be the same for ever.
func (j *Joining) Ready(secret []byte) {
	j.secret = secret
	j.ready.Store(true)
}

// CheckReady returns an error before [Joining.Ready] was called.
func (j *Joining) CheckReady() error {
	if j.ready.Load() {
		return nil
	}
	return api.NewProblem(api.ProblemTryLater, "The aggregator is starting: it reads its ledger first.")
}

// CheckRate counts a request from an address, and returns an error if too many came from
// there, or from everywhere.
func (j *Joining) CheckRate(address string) (fair.Left, error) {
	left, ok := j.limits.Take(address, 1)
	if ok {
		return left, nil
	}
	return left, api.NewProblem(api.ProblemSlowDown, "Too many requests to be enrolled come from your address, or from everywhere: ask again in a minute.")
}

// Ask takes a request from nowhere in particular.
func (j *Joining) Ask(ctx context.Context, document []byte) (*api.Enrolment, error) {
	return j.AskFrom(ctx, "", document)
}

// AskFrom takes a request from the other end of a connection, an IP address and port, out
// of whose network's share of the queue it waits. An error is an [api.Problem], or wraps
// a sentinel of package enrolment or signing.
func (j *Joining) AskFrom(ctx context.Context, remote string, document []byte) (*api.Enrolment, error) {
	if err := j.CheckReady(); err != nil {
		return nil, err
	}
	now := time.Now()
	r, err := enrolment.OpenRequest(document, j.config.Origin, j.roster.Lookup, now)
	if err != nil {
		return nil, err
	}
	admitted, err := j.admit(ctx, r)
	var answer *api.Enrolment
	switch {
	case err != nil:
	case admitted:
		answer, err = j.enrolled(ctx, r.Builder())
	default:
		answer, err = j.wait(ctx, r, remote, now)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, state.ErrShare):
		return nil, api.NewProblem(api.ProblemTryLater,
			fmt.Sprintf("%d requests from your network wait for the aggregator's operator already: ask again in some days, or write to the operator.", state.MaxOfNetwork))
	case errors.Is(err, state.ErrFull):
		return nil, api.NewProblem(api.ProblemTryLater, "Too many requests wait for the aggregator's operator already: ask again in some days, or write to the operator.")
	default:
		return nil, j.trouble(ctx, err)
	}
}

// trouble hides what is not the sender's business.
func (j *Joining) trouble(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*api.Problem](err); ok {
		return err
	}
	for _, theirs := range []error{enrolment.ErrConflict, signing.ErrSignature, signing.ErrKeyNotValid, signing.ErrMalformed, signing.ErrTooLarge} {
		if errors.Is(err, theirs) {
			return err
		}
	}
	j.config.Logger.ErrorContext(ctx, "taking a request to be enrolled", "error", err)
	return api.NewProblem(api.ProblemTryLater, "The request could not be kept: send it again later.")
}

// admit enrols a builder that a known party vouches for, and reports whether the builder is
// enrolled now; if not, a person has to decide.
func (j *Joining) admit(ctx context.Context, r *enrolment.Request) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, known := j.roster.Builder(r.Builder())
	if known && b.Revoked {
		return false, api.NewProblem(api.ProblemKeyNotValid,
			fmt.Sprintf("Builder %s was revoked, which holds for ever: make a new key.", b.ID))
	}
	switch asked := r.Asked(); {
	case asked.Replaces != "":
		if err := j.replace(ctx, r); err != nil {
			return false, err
		}
	case known:
	default:
		admitted, err := j.identified(ctx, r)
		if err != nil || !admitted {
			return false, err
		}
	}
	return true, j.state.Forget(ctx, r.Builder())
}

// replace enrols a key that an enrolled one endorses.
func (j *Joining) replace(ctx context.Context, r *enrolment.Request) error {
	asked := r.Asked()
	older, known := j.roster.Builder(asked.Replaces)
	if !known || older.Revoked { // since the request was opened
		return fmt.Errorf("%w: builder %s cannot endorse", signing.ErrKeyNotValid, asked.Replaces)
	}
	b, known := j.roster.Builder(r.Builder())
	if known && b.Operator != older.Operator {
		return fmt.Errorf("%w: builder %s belongs to operator %s, not %s", enrolment.ErrConflict, b.ID, b.Operator, older.Operator)
	}
	if !known {
		if err := j.room(older.Operator); err != nil {
			return err
		}
		err := j.enrol(ctx, r, &enrolment.Enrolment{
			Operator: older.Operator, Tier: older.Tier, NotAfter: older.Key.NotAfter, Replaces: older.ID,
		})
		if err != nil {
			return err
		}
	}
	if !asked.RevokeReplaced {
		return nil
	}
	_, err := j.ledger.Revoke(ctx, older.ID, nil, "replaced by "+string(r.Builder()))
	return err
}

// maxKeys is how many keys an operator can have that no person approved one by
// one: what bounds the ledger, since keys cost nothing.
const maxKeys = 100

// room reports that an operator has enough keys.
func (j *Joining) room(operator string) error {
	n := 0
	for b := range j.roster.All() {
		if b.Operator == operator && !b.Revoked {
			n++
		}
	}
	if n < maxKeys {
		return nil
	}
	return api.NewProblem(api.ProblemTooManyKeys,
		fmt.Sprintf("Operator %s has %d keys: ask the aggregator's operator to revoke those that are not in use.", operator, n))
}

// enrol writes the enrolment of a request's key, and the request as the
// attachment that it names.
func (j *Joining) enrol(ctx context.Context, r *enrolment.Request, e *enrolment.Enrolment) error {
	ctx = context.WithoutCancel(ctx) // a sender that goes away is enrolled or is not
	sum, err := j.ledger.Attach(ctx, bytes.NewReader(r.Document()))
	if err != nil {
		return err
	}
	key := r.Asked().PublicKey
	e.Builder, e.PublicKey, e.Endorsement = key.Builder(), key.DER(), sum
	index, err := j.ledger.Enrol(ctx, e)
	if err != nil {
		return err
	}
	j.config.Logger.InfoContext(ctx, "enrolled a builder", "builder", e.Builder, "operator", e.Operator, "tier", e.Tier, "index", index)
	return nil
}

// receiptTimeout bounds the wait for a checkpoint that covers an enrolment.
const receiptTimeout = 15 * time.Second

// enrolled answers a builder that the roster has.
func (j *Joining) enrolled(ctx context.Context, id signing.BuilderID) (*api.Enrolment, error) {
	b, known := j.roster.Builder(id)
	if !known {
		return nil, fmt.Errorf("builder %s is not in the roster", id)
	}
	ctx, cancel := context.WithTimeout(ctx, receiptTimeout)
	defer cancel()
	receipt, err := j.ledger.Receipt(ctx, b.EnrolledAt)
	if err != nil {
		return nil, err
	}
	next := "Statements are accepted and counted: 'repronet-reporter run' submits them."
	if b.Tier == enrolment.Open {
		next = "Statements are accepted, shown and compared: 'repronet-reporter run' submits them. They move no verdict until somebody vouches for the operator."
	}
	return &api.Enrolment{
		Builder: id, State: api.Enrolled, Next: next, Operator: b.Operator, Tier: api.Tier(b.Tier), Receipt: receipt,
	}, nil
}

const pendingNext = "The aggregator's operator decides. Statements wait on this machine meanwhile; nothing is lost."

// wait keeps a request until a person decides.
func (j *Joining) wait(ctx context.Context, r *enrolment.Request, remote string, now time.Time) (*api.Enrolment, error) {
	kept, err := j.state.Ask(ctx, state.Request{
		Builder: r.Builder(), Document: r.Document(), Created: r.Asked().Created, Received: now,
		Network: j.network(remote),
	})
	if err != nil {
		return nil, err
	}
	return waiting(kept), nil
}

func waiting(kept state.Request) *api.Enrolment {
	if kept.Refusal != "" {
		return &api.Enrolment{Builder: kept.Builder, State: api.Refused, Next: "The aggregator's operator refused: " + kept.Refusal}
	}
	return &api.Enrolment{Builder: kept.Builder, State: api.Pending, Next: pendingNext}
}

// State tells what became of a builder's request.
func (j *Joining) State(ctx context.Context, id signing.BuilderID) (*api.Enrolment, error) {
	if err := j.CheckReady(); err != nil {
		return nil, err
	}
	if b, known := j.roster.Builder(id); known {
		if b.Revoked {
			return &api.Enrolment{
				Builder: id, State: api.Refused, Operator: b.Operator, Tier: api.Tier(b.Tier),
				Next: "The key was revoked, which holds for ever: make a new one.",
			}, nil
		}
		answer, err := j.enrolled(ctx, id)
		if err != nil {
			return nil, j.trouble(ctx, err)
		}
		return answer, nil
	}
	kept, ok, err := j.state.Request(ctx, id, time.Now())
	if err != nil {
		return nil, j.trouble(ctx, err)
	}
	if !ok {
		return nil, api.NewProblem(api.ProblemNotFound, fmt.Sprintf("Nobody asked to enrol builder %s, or it is long ago: 'repronet-reporter enrol' asks.", id))
	}
	return waiting(kept), nil
}
