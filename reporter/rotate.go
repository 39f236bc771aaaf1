package reporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"repronet.dev/api"
	"repronet.dev/enrolment/request"
	"repronet.dev/internal/durable"
	"repronet.dev/signing"
)

// nextKeyFile holds a new key until it is the installation's key.
const nextKeyFile = "next.pem"

// A Rotation says how an installation changes its key.
type Rotation struct {
	// Key is a reference as signing.LoadSigner takes it; empty: a new key is made.
	Key string
	// Revoke has the old key revoked. What it signed is delivered first.
	Revoke bool
	Logger *slog.Logger
}

// Rotate has the installation's key endorse a new one, and uses the new one once
// a receipt proves that it is enrolled. Interrupted anywhere, it can be called
// again. Statements that the old key signed stay in the spool, and a 'run' that
// is at work goes on with the new key.
func (h Home) Rotate(ctx context.Context, r Rotation) (answer *api.Enrolment, err error) {
	if r.Revoke {
		done, err := h.deliverAll(ctx, r.Logger)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	desk, err := h.NewDesk(ctx)
	if err != nil {
		return nil, err
	}
	defer desk.Close()
	older, err := h.Signer(desk.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, older.Close()) }()
	reference := nextKeyFile
	if r.Key != "" {
		reference, err = absoluteReference(r.Key)
	} else {
		err = h.makeKey(nextKeyFile)
	}
	if err != nil {
		return nil, err
	}
	newer, err := signing.LoadSigner(h.keyReference(reference))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, newer.Close()) }()
	if newer.Public().Builder() == desk.config.Builder {
		if reference != nextKeyFile {
			return nil, errors.New("this is the key that is in use already")
		}
		// A rotation was cut off after its last step but one.
		answer, err := desk.State(ctx)
		return answer, errors.Join(err, h.useKey(desk.config, reference, newer.Public()))
	}
	answer, err = desk.replace(ctx, older, newer, r.Revoke)
	if _, refused := errors.AsType[*api.Problem](err); refused {
		// The answer to an earlier attempt may have been lost, and the old key
		// revoked by it.
		if earlier, stateErr := desk.stateOf(ctx, newer.Public().Builder()); stateErr == nil && earlier.State == api.Enrolled {
			answer, err = earlier, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if answer.State != api.Enrolled {
		return nil, fmt.Errorf("the new key is not enrolled, and the old one stays in use: %s", answer.Next)
	}
	return answer, h.useKey(desk.config, reference, newer.Public())
}

var errLate = errors.New("they came meanwhile")

// deliverAll delivers what is in the spool and keeps others from adding to it;
// the function returned ends that.
func (h Home) deliverAll(ctx context.Context, logger *slog.Logger) (done func() error, err error) {
	runner, err := NewRunner(h, logger)
	if err != nil {
		return nil, err
	}
	report, err := runner.Pass(ctx)
	if err == nil && report.Left > 0 {
		err = fmt.Errorf("%d statements and records are not delivered (%w)", report.Left, cmp.Or(report.Err(), errLate))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("delivering what the old key signed, before it is revoked: %w", err), runner.Close())
	}
	return runner.Close, nil
}

// replace asks for the newer key to be enrolled in the older one's place.
func (d *Desk) replace(ctx context.Context, older, newer *signing.Signer, revoke bool) (*api.Enrolment, error) {
	asked := d.asks(newer.Public(), Asking{})
	asked.Replaces, asked.RevokeReplaced = older.Public().Builder(), revoke
	payload, err := asked.Encode()
	if err != nil {
		return nil, err
	}
	var document request.Document
	if document.Request, err = newer.SignPayload(ctx, payload); err != nil {
		return nil, err
	}
	if document.Endorsement, err = older.SignPayload(ctx, payload); err != nil {
		return nil, err
	}
	return d.send(ctx, &document, newer.Public().Builder())
}

// useKey makes a key the installation's. The configuration changes last but for
// the copy that is not needed any more.
func (h Home) useKey(c *Config, reference string, public *signing.PublicKey) error {
	if reference == nextKeyFile {
		text, err := os.ReadFile(h.path(nextKeyFile))
		if err != nil {
			return fmt.Errorf("reading key: %w", err)
		}
		reference = "key-" + string(public.Builder()) + ".pem"
		if err := durable.WriteFile(h.path(reference), text, 0o600); err != nil {
			return err
		}
	}
	next := *c
	next.Key, next.Builder = reference, public.Builder()
	text, err := next.encode()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(h.path(configFile), text, 0o600); err != nil {
		return err
	}
	if err := durable.WriteFile(h.path(publicFile), public.PEM(), 0o644); err != nil {
		return err
	}
	return durable.Remove(h.path(nextKeyFile))
}
