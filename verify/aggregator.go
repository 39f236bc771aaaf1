package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/ledger"
)

// requestTimeout bounds one request: a bundle of the greatest size over a slow
// line.
const requestTimeout = 5 * time.Minute

// An Aggregator is an address at which a ledger is served. Nothing that it says
// is believed.
type Aggregator struct {
	client *http.Client
	base   string
}

// Dial returns the aggregator at an address: https://…, or a multiaddr.
func Dial(address string) (*Aggregator, error) {
	client, base, err := wire.Client(address, requestTimeout)
	if err != nil {
		return nil, err
	}
	return &Aggregator{client, base}, nil
}

// Log fetches from the ledger.
func (a *Aggregator) Log() ledger.Fetcher { return ledger.HTTP(a.client, a.base+wire.LogPath) }

// LogKey asks for the ledger's key.
func (a *Aggregator) LogKey(ctx context.Context) (string, error) {
	text, err := a.get(ctx, wire.LogKeyPath, 4096)
	return strings.TrimSpace(string(text)), err
}

// Builders returns the builders of a list that count. Revoked ones are left out, and
// those whose certificates were erased.
func (a *Aggregator) Builders(ctx context.Context, list *BuilderList) ([]Builder, error) {
	var builders []Builder
	for _, b := range list.builders {
		if b.Tier != string(enrolment.Counted) || b.RevokedFrom != nil {
			continue
		}
		pin := Builder{
			ID: b.ID, PublicKey: b.PublicKey, NixName: b.NixName, Operator: b.Operator, NotBefore: b.NotBefore, NotAfter: b.NotAfter,
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
			return nil, fmt.Errorf("reading the builder list of %s: builder %.60q: %w", a.base, b.ID, err)
		}
		builders = append(builders, pin)
	}
	return builders, nil
}

// certificate adds a certificate, which is an attachment to the ledger, to a pin.
func (a *Aggregator) certificate(ctx context.Context, pin *Builder, c wire.Certificate) error {
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

func (a *Aggregator) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("asking the aggregator: GET %s: %w", request.URL, err)
	}
	if response.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("asking the aggregator: GET %s: %s: %w", request.URL, response.Status, fs.ErrNotExist)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking the aggregator: GET %s: %s", request.URL, response.Status)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("asking the aggregator: the answer of %s is larger than %d bytes", request.URL, limit)
	}
	return text, nil
}

// Update extends the mirror from the first of the pinned aggregators that can be
// reached. That a log is invalid is an answer; nobody else is asked then.
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
