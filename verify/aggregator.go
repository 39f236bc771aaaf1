package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
)

// requestTimeout bounds one request: a bundle of the greatest size over a slow
// line.
const requestTimeout = 5 * time.Minute

// An Aggregator is an address at which a ledger is served. Nothing that it says
// is believed.
type Aggregator struct{ api *api.Client }

// Dial returns the aggregator at an address: https://…, or a multiaddr.
func Dial(address string) (*Aggregator, error) {
	client, err := api.Dial(address, requestTimeout)
	if err != nil {
		return nil, err
	}
	return &Aggregator{client}, nil
}

// Log fetches from the ledger.
func (a *Aggregator) Log() ledger.Fetcher { return a.api.Log() }

// LogKey asks for the ledger's key.
func (a *Aggregator) LogKey(ctx context.Context) (string, error) {
	return a.api.LogKey(ctx)
}

// Builders returns the builders of a list that count, or did: a revoked one with the ledger
// index up to which it does. Those of which nothing counts are left out: revoked from
// their enrolment on, or with certificates that were all erased.
func (a *Aggregator) Builders(ctx context.Context, list *BuilderList) ([]Builder, error) {
	var builders []Builder
	for _, b := range list.builders {
		if b.Tier != api.Counted || b.RevokedFrom != nil && *b.RevokedFrom <= b.EnrolledAt {
			continue
		}
		pin := Builder{
			ID: b.ID, PublicKey: b.PublicKey, NixName: b.NixName, Operator: b.Operator, NotBefore: b.NotBefore, NotAfter: b.NotAfter,
			RevokedFrom: b.RevokedFrom,
		}
		err := enrolment.ValidateOperator(b.Operator)
		for _, c := range b.OpenPGP {
			if err == nil && !c.Erased {
				err = a.certificate(ctx, &pin, c)
			}
		}
		if len(b.OpenPGP) > 0 && len(pin.OpenPGP) == 0 && err == nil {
			continue // nothing is left of it to believe
		}
		if err == nil && b.Keyless != nil {
			pin.Keyless, err = a.keyless(ctx, b.Keyless)
		}
		if err == nil {
			err = pin.validate()
		}
		if err != nil {
			return nil, fmt.Errorf("reading the builder list of %s: builder %.60q: %w", a.api.Base, b.ID, err)
		}
		builders = append(builders, pin)
	}
	return builders, nil
}

// certificate adds a certificate, which is an attachment to the ledger, to a pin.
func (a *Aggregator) certificate(ctx context.Context, pin *Builder, c api.RosterCertificate) error {
	sum, err := attestation.ParseDigest(c.Certificate)
	if err != nil {
		return err
	}
	packets, err := ledger.FetchAttachment(ctx, a.Log(), ledger.AttachmentID(sum))
	if err != nil {
		return err
	}
	pin.OpenPGP = append(pin.OpenPGP, Certificate{Project: c.Project, Packets: packets})
	return nil
}

// Update extends the mirror from the first of the pinned aggregators that can be
// reached. That a log is invalid is an answer; no other aggregator is asked then.
func (p *Pins) Update(ctx context.Context, m *Mirror, progress Progress) error {
	if len(p.Aggregators) == 0 {
		return errors.New("no aggregator is pinned: run repronet-verify pin --aggregator URL")
	}
	var unreachable []error
	for _, address := range p.Aggregators {
		aggregator, err := Dial(address)
		if err == nil {
			err = m.Update(ctx, aggregator.Log(), progress)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, ledger.ErrInvalid) {
			return err
		}
		unreachable = append(unreachable, fmt.Errorf("%s: %w", address, err))
	}
	return errors.Join(unreachable...)
}
