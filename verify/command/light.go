package command

import (
	"context"
	"errors"
	"fmt"

	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/verify"
)

// askLight asks the first of the pinned aggregators that can be reached. That
// what it answers is invalid is an answer; no other aggregator is asked then.
func (o *outputCommand) askLight(ctx context.Context, ecosystem, key string) (*verify.Evidence, error) {
	pins, dir, err := o.pins()
	if err != nil {
		return nil, err
	}
	if len(pins.Aggregators) == 0 {
		return nil, errors.New("no aggregator is pinned: run repronet-verify pin --aggregator URL")
	}
	var unreachable []error
	for _, address := range pins.Aggregators {
		aggregator, err := verify.Dial(address)
		if err == nil {
			light := verify.Light{Aggregator: aggregator, Pins: pins, State: dir, MaxAge: o.maxAge, Tell: o.tell, Bits: o.bits}
			var evidence *verify.Evidence
			if evidence, err = light.Evidence(ctx, ecosystem, key); err == nil {
				return evidence, nil
			}
		}
		if errors.Is(err, verify.ErrTelling) {
			err = fmt.Errorf("%w; --tell asks for it by its name", err)
		}
		if ctx.Err() != nil || errors.Is(err, ledger.ErrInvalid) || errors.Is(err, outputmap.ErrInvalid) {
			return nil, err
		}
		unreachable = append(unreachable, fmt.Errorf("%s: %w", address, err))
	}
	return nil, errors.Join(unreachable...)
}
