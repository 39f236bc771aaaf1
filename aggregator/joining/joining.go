package joining

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"repronet/aggregator/state"
	"repronet/attestation"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing"
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
	// Pseudonyms is the secret from which the names of identities' operators
	// are made.
	Pseudonyms []byte
	Logger     *slog.Logger
}

// Joining takes requests and carries out what operators decide about them. Its
// zero value does not work; use [New].
type Joining struct {
	config Config
	state  *state.State
	roster *enrolment.Roster // up to the ledger's end
	ledger Ledger
	limits *limits
	ready  atomic.Bool
	mu     sync.Mutex // held from a look at the roster to the enrolment that follows from it
}

// New returns a Joining. It answers 503 until [Joining.Ready] is called, because
// the roster has to be complete first.
func New(config Config, s *state.State, roster *enrolment.Roster, l Ledger) *Joining {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Joining{config: config, state: s, roster: roster, ledger: l, limits: newLimits(rate.Every(perAddressEvery), rate.Every(allEvery))}
}

// Ready opens the way in.
func (j *Joining) Ready() { j.ready.Store(true) }

// Ask takes a request.
func (j *Joining) Ask(ctx context.Context, document []byte) (*wire.Enrolment, *wire.Problem) {
	now := time.Now()
	r, err := enrolment.OpenRequest(document, j.config.Origin, j.roster.Lookup, now)
	if err != nil {
		return nil, refuse(err)
	}
	admitted, err := j.admit(ctx, r)
	var answer *wire.Enrolment
	switch {
	case err != nil:
	case admitted:
		answer, err = j.enrolled(ctx, r.Builder())
	default:
		answer, err = j.wait(ctx, r, now)
	}
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, state.ErrFull):
		return nil, wire.NewProblem(http.StatusServiceUnavailable, "try-later", "Too many requests wait for the aggregator's operator already: ask again in some days, or write to the operator.")
	default:
		return nil, j.trouble(ctx, err)
	}
}

// refuse says in a problem document why a request cannot be taken.
func refuse(err error) *wire.Problem {
	switch {
	case errors.Is(err, signing.ErrSignature):
		return wire.NewProblem(http.StatusForbidden, "bad-signature", err.Error())
	case errors.Is(err, signing.ErrUnknownBuilder):
		return wire.NewProblem(http.StatusForbidden, "not-enrolled", err.Error())
	case errors.Is(err, signing.ErrKeyNotValid):
		return wire.NewProblem(http.StatusForbidden, "key-not-valid", err.Error())
	default:
		return wire.NewProblem(http.StatusBadRequest, "malformed", err.Error())
	}
}

func (j *Joining) trouble(ctx context.Context, err error) *wire.Problem {
	if errors.Is(err, enrolment.ErrConflict) {
		return wire.NewProblem(http.StatusConflict, "conflict", err.Error())
	}
	if problem, ok := errors.AsType[*wire.Problem](err); ok {
		return problem
	}
	for _, theirs := range []error{signing.ErrSignature, signing.ErrKeyNotValid, signing.ErrMalformed, signing.ErrTooLarge} {
		if errors.Is(err, theirs) {
			return refuse(err)
		}
	}
	j.config.Logger.ErrorContext(ctx, "taking a request to be enrolled", "error", err)
	return wire.NewProblem(http.StatusServiceUnavailable, "try-later", "The request could not be kept: send it again later.")
}

// admit enrols whom somebody known vouches for, and reports whether the builder is
// enrolled now; if not, a person has to decide.
func (j *Joining) admit(ctx context.Context, r *enrolment.Request) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, known := j.roster.Builder(r.Builder())
	if known && b.Revoked {
		return false, wire.NewProblem(http.StatusForbidden, "key-not-valid",
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
	return wire.NewProblem(http.StatusForbidden, "too-many-keys",
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
func (j *Joining) enrolled(ctx context.Context, id signing.BuilderID) (*wire.Enrolment, error) {
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
	return &wire.Enrolment{
		Builder: id, State: wire.Enrolled, Next: next, Operator: b.Operator, Tier: string(b.Tier), Receipt: receipt,
	}, nil
}

const pendingNext = "The aggregator's operator decides. Statements wait on this machine meanwhile; nothing is lost."

// wait keeps a request until a person decides.
func (j *Joining) wait(ctx context.Context, r *enrolment.Request, now time.Time) (*wire.Enrolment, error) {
	kept, err := j.state.Ask(ctx, state.Request{
		Builder: r.Builder(), Document: r.Document(), Created: r.Asked().Created, Received: now,
	})
	if err != nil {
		return nil, err
	}
	return waiting(kept), nil
}

func waiting(kept state.Request) *wire.Enrolment {
	if kept.Refusal != "" {
		return &wire.Enrolment{Builder: kept.Builder, State: wire.Refused, Next: "The aggregator's operator refused: " + kept.Refusal}
	}
	return &wire.Enrolment{Builder: kept.Builder, State: wire.Pending, Next: pendingNext}
}

// State tells what became of a builder's request.
func (j *Joining) State(ctx context.Context, id signing.BuilderID) (*wire.Enrolment, *wire.Problem) {
	if b, known := j.roster.Builder(id); known {
		if b.Revoked {
			return &wire.Enrolment{
				Builder: id, State: wire.Refused, Operator: b.Operator, Tier: string(b.Tier),
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
		return nil, wire.NewProblem(http.StatusNotFound, "not-found", fmt.Sprintf("Nobody asked to enrol builder %s, or it is long ago: 'repronet-reporter enrol' asks.", id))
	}
	return waiting(kept), nil
}
