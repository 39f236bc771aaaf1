package joining

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet/aggregator/admin"
	"repronet/enrolment"
	"repronet/signing"
)

// Pending lists the requests that wait for a person, oldest first.
func (j *Joining) Pending(ctx context.Context) ([]admin.Pending, error) {
	kept, err := j.state.Requests(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	pending := []admin.Pending{}
	for _, k := range kept {
		if _, enrolled := j.roster.Builder(k.Builder); enrolled {
			continue // by other means, since
		}
		// The keys of others do not matter any more: who is endorsed never waits.
		r, err := enrolment.OpenRequest(k.Document, j.config.Origin, j.roster.Lookup, k.Received)
		if err != nil {
			return nil, fmt.Errorf("reading the request of builder %s: %w", k.Builder, err)
		}
		asked := r.Asked()
		pending = append(pending, admin.Pending{
			Builder: k.Builder, Operator: asked.Operator, OperatorKnown: j.knows(asked.Operator),
			Contact: asked.Contact, Identity: j.identity(r), Created: k.Created, Received: k.Received,
		})
	}
	return pending, nil
}

func (j *Joining) knows(operator string) bool {
	_, known := j.tier(operator)
	return known
}

// tier returns the tier of an operator that has builders: counted if one that is
// not revoked is.
func (j *Joining) tier(operator string) (tier enrolment.Tier, known bool) {
	tier = enrolment.Open
	for b := range j.roster.All() {
		if b.Operator != operator {
			continue
		}
		known = true
		if b.Tier == enrolment.Counted && !b.Revoked {
			tier = enrolment.Counted
		}
	}
	return tier, known
}

// Approve enrols the builder of a request that waits, for the operator that it
// asked for, or for the one that the decision names. Only the latter can be one
// that has builders already: whoever asks cannot make itself another's.
func (j *Joining) Approve(ctx context.Context, d admin.Approval) (index uint64, operator string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept, ok, err := j.state.Request(ctx, d.Builder, time.Now())
	if err != nil {
		return 0, "", err
	}
	if !ok {
		return 0, "", fmt.Errorf("no request of builder %s waits: 'builders pending' lists them", d.Builder)
	}
	r, err := enrolment.OpenRequest(kept.Document, j.config.Origin, j.roster.Lookup, kept.Received)
	if err != nil {
		return 0, "", err
	}
	e := &enrolment.Enrolment{Operator: d.Operator, Tier: d.Tier}
	if e.Tier == "" {
		e.Tier = enrolment.Counted
	}
	if e.Operator == "" {
		e.Operator = r.Asked().Operator
		if e.Operator == "" {
			return 0, "", errors.New("the request names no operator: name one with --operator")
		}
		if j.knows(e.Operator) {
			return 0, "", fmt.Errorf("operator %s has builders already: if this key is theirs, say --operator %s; if not, give it another name", e.Operator, e.Operator)
		}
	}
	if tier, known := j.tier(e.Operator); known && tier != e.Tier {
		return 0, "", fmt.Errorf("operator %s is in tier %s: say --tier %s, and change the tier of all its builders with 'builders vouch'", e.Operator, tier, tier)
	}
	if err := j.enrol(ctx, r, e); err != nil {
		return 0, "", err
	}
	b, _ := j.roster.Builder(d.Builder)
	return b.EnrolledAt, e.Operator, j.state.Forget(ctx, d.Builder)
}

// Reject keeps, for a month, that a builder is not wanted.
func (j *Joining) Reject(ctx context.Context, builder signing.BuilderID, reason string) error {
	found, err := j.state.Refuse(ctx, builder, reason, time.Now())
	if err == nil && !found {
		err = fmt.Errorf("no request of builder %s waits: 'builders pending' lists them", builder)
	}
	return err
}

// Vouch moves all builders of an operator that are not revoked to tier counted.
// The operator is named by itself, or by one of its builders.
func (j *Joining) Vouch(ctx context.Context, name string) (moved []signing.BuilderID, operator string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	operator = name
	if b, known := j.roster.Builder(signing.BuilderID(name)); known {
		operator = b.Operator
	}
	if !j.knows(operator) {
		return nil, "", fmt.Errorf("%.60q is no operator and no builder that is enrolled", name)
	}
	for b := range j.roster.All() {
		if b.Operator != operator || b.Revoked || b.Tier == enrolment.Counted {
			continue
		}
		e := &enrolment.Enrolment{Builder: b.ID, NixName: b.NixName, Operator: operator, Tier: enrolment.Counted}
		if b.Key.PublicKey != nil {
			e.PublicKey, e.NotBefore, e.NotAfter = b.Key.DER(), b.Key.NotBefore, b.Key.NotAfter
		} else if n := len(b.Certificates); n > 0 {
			e.OpenPGP = &b.Certificates[n-1]
		} else if b.Keyless != nil {
			e.Keyless, e.NotBefore, e.NotAfter = b.Keyless, b.Key.NotBefore, b.Key.NotAfter
		}
		if _, err := j.ledger.Enrol(ctx, e); err != nil {
			return moved, operator, fmt.Errorf("vouching for builder %s: %w", b.ID, err)
		}
		moved = append(moved, b.ID)
	}
	return moved, operator, nil
}
