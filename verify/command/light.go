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
	return firstOf(ctx, pins, func(aggregator *verify.Aggregator) (*verify.Evidence, error) {
		light := verify.Light{Aggregator: aggregator, Pins: pins, State: dir, MaxAge: o.maxAge, Tell: o.tell, Bits: o.bits}
		evidence, err := light.Evidence(ctx, ecosystem, key)
		if errors.Is(err, verify.ErrTelling) {
			err = fmt.Errorf("%w; --tell asks for it by its name", err)
		}
		return evidence, err
	})
}

// firstOf asks the pinned aggregators, one after the other, until one answers. That what it
// answers is invalid is an answer.
func firstOf[T any](ctx context.Context, pins *verify.Pins, ask func(*verify.Aggregator) (T, error)) (answer T, err error) {
	if len(pins.Aggregators) == 0 {
		return answer, errors.New("no aggregator is pinned: run repronet-verify pin --aggregator URL")
	}
	var unreachable []error
	for _, address := range pins.Aggregators {
		aggregator, err := verify.Dial(address)
		if err == nil {
			answer, err = ask(aggregator)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, ledger.ErrInvalid) || errors.Is(err, outputmap.ErrInvalid) {
			return answer, err
		}
		unreachable = append(unreachable, fmt.Errorf("%s: %w", address, err))
	}
	return answer, errors.Join(unreachable...)
}
