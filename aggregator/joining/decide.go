package joining

import (
	"context"
	"fmt"
	"strings"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
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

// asked returns the builder whose ID begins with a text and that asked, also if it was
// refused since.
func (j *Joining) asked(ctx context.Context, text string, now time.Time) (signing.BuilderID, error) {
	fitting, err := j.state.Asked(ctx, text, now)
	if err != nil {
		return "", err
	}
	id, err := admin.Resolve(text, fitting)
	if err == nil && id == "" {
		err = admin.Errorf(admin.NotFound, "no builder whose ID begins with %q asks to be enrolled: 'builders pending' lists those that do", text)
	}
	return id, err
}

// Approve enrols the builder of a request that waits, for the operator that it asked for,
// or for the one that the decision names. Only the latter can be one that has builders
// already: asking is no proof of being the operator.
func (j *Joining) Approve(ctx context.Context, d admin.Approval) (approved admin.Approved, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	id, err := j.asked(ctx, d.Builder, now)
	if err != nil {
		return approved, err
	}
	kept, ok, err := j.state.Request(ctx, id, now)
	if err != nil {
		return approved, err
	}
	if !ok {
		return approved, admin.Errorf(admin.NotFound, "the request of builder %s is over", id)
	}
	r, err := enrolment.OpenRequest(kept.Document, j.config.Origin, j.roster.Lookup, kept.Received)
	if err != nil {
		return approved, err
	}
	e := &enrolment.Enrolment{Operator: d.Operator, Tier: d.Tier}
	if e.Tier == "" {
		e.Tier = enrolment.Counted
	}
	if e.Operator == "" {
		e.Operator = r.Asked().Operator
		if e.Operator == "" {
			return approved, admin.Errorf(admin.Invalid, "the request names no operator: name one with --operator")
		}
		if j.knows(e.Operator) {
			return approved, admin.Errorf(admin.Conflict, "operator %s has builders already: if this key is theirs, say --operator %s; if not, give it another name", e.Operator, e.Operator)
		}
	}
	if tier, known := j.tier(e.Operator); known && tier != e.Tier {
		return approved, admin.Errorf(admin.Conflict, "operator %s is in tier %s: say --tier %s, and change the tier of all its builders with 'builders vouch'", e.Operator, tier, tier)
	}
	if err := j.enrol(ctx, r, e); err != nil {
		return approved, err
	}
	b, _ := j.roster.Builder(id)
	return admin.Approved{Builder: id, Operator: e.Operator, Tier: e.Tier, Index: b.EnrolledAt}, j.state.Forget(ctx, id)
}

// Reject keeps, for a month, that builders are not wanted: one, or all whose requests came
// before a time.
func (j *Joining) Reject(ctx context.Context, d admin.Rejection) (rejected admin.Rejected, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	rejected = admin.Rejected{Builders: []signing.BuilderID{}, Reason: d.Reason}
	var refused []signing.BuilderID
	switch {
	case (d.Builder == "") == d.Before.IsZero():
		return rejected, admin.Errorf(admin.Invalid, "want either a builder or a time")
	case d.Builder != "":
		id, err := j.asked(ctx, d.Builder, now)
		if err != nil {
			return rejected, err
		}
		refused = append(refused, id)
	default:
		waiting, err := j.state.Requests(ctx, now)
		if err != nil {
			return rejected, err
		}
		for _, r := range waiting {
			if r.Received.Before(d.Before) {
				refused = append(refused, r.Builder)
			}
		}
	}
	for _, id := range refused {
		if _, err := j.state.Refuse(ctx, id, d.Reason, now); err != nil {
			return rejected, err
		}
		rejected.Builders = append(rejected.Builders, id)
	}
	return rejected, nil
}

// Vouch moves all builders of an operator that are not revoked to tier counted. The
// operator is named by itself, or by the beginning of the ID of one of its builders.
func (j *Joining) Vouch(ctx context.Context, name string) (vouched admin.Vouched, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	vouched = admin.Vouched{Operator: name, Moved: []signing.BuilderID{}}
	if !j.knows(name) {
		if vouched.Operator, err = j.operatorOf(name); err != nil {
			return vouched, err
		}
	}
	for b := range j.roster.All() {
		if b.Operator != vouched.Operator || b.Revoked || b.Tier == enrolment.Counted {
			continue
		}
		e := &enrolment.Enrolment{Builder: b.ID, NixName: b.NixName, Operator: b.Operator, Tier: enrolment.Counted}
		if b.Key.PublicKey != nil {
			e.PublicKey, e.NotBefore, e.NotAfter = b.Key.DER(), b.Key.NotBefore, b.Key.NotAfter
		} else if n := len(b.Certificates); n > 0 {
			e.OpenPGP = &b.Certificates[n-1]
		} else if b.Keyless != nil {
			e.Keyless, e.NotBefore, e.NotAfter = b.Keyless, b.Key.NotBefore, b.Key.NotAfter
		}
		if _, err := j.ledger.Enrol(ctx, e); err != nil {
			return vouched, fmt.Errorf("vouching for builder %s: %w", b.ID, err)
		}
		vouched.Moved = append(vouched.Moved, b.ID)
	}
	return vouched, nil
}

// operatorOf returns the operator of the builder whose ID begins with a text.
func (j *Joining) operatorOf(text string) (string, error) {
	operators := map[signing.BuilderID]string{}
	var fitting []signing.BuilderID
	for b := range j.roster.All() {
		if strings.HasPrefix(string(b.ID), text) {
			fitting, operators[b.ID] = append(fitting, b.ID), b.Operator
		}
	}
	if len(fitting) == 0 {
		return "", admin.Errorf(admin.NotFound, "%.60q is no operator, and no enrolled builder has an ID that begins with it: 'builders list' lists both", text)
	}
	id, err := admin.Resolve(text, fitting)
	return operators[id], err
}
