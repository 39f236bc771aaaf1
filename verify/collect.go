package verify

import (
	"context"
	"fmt"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// collect collects every claim about outputs that a tree holds.
func collect(ctx context.Context, tree *ledger.Tree, x finder, pins *Pins, outputs []Output, progress Progress) ([]*Evidence, error) {
	c, err := newCollector(tree, pins, progress)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if err := attestation.ValidateOutput(o.Ecosystem, o.Key); err != nil {
			return nil, err
		}
		c.add(attestation.NewOutputID(o.Ecosystem, o.Key), o)
	}
	if err := c.collect(ctx, x); err != nil {
		of := fmt.Sprintf("%d outputs", len(outputs))
		if len(outputs) == 1 {
			of = outputs[0].Key
		}
		return nil, fmt.Errorf("collecting evidence on %s: %w", of, err)
	}
	evidence := make([]*Evidence, len(c.outputs))
	for i, o := range c.outputs {
		evidence[i] = o.evidence
	}
	return evidence, nil
}

// collectAmong is collect of one output, and opens the entries about others too, of which
// nothing but their IDs is known.
func collectAmong(ctx context.Context, tree *ledger.Tree, x finder, pins *Pins, output Output, others []attestation.OutputID) (*Evidence, error) {
	c, err := newCollector(tree, pins, func(string, uint64, uint64) {})
	if err != nil {
		return nil, err
	}
	wanted := attestation.NewOutputID(output.Ecosystem, output.Key)
	c.add(wanted, output)
	for _, id := range others {
		if id != wanted {
			c.add(id, Output{})
		}
	}
	if err := c.collect(ctx, x); err != nil {
		return nil, fmt.Errorf("collecting evidence on %s: %w", output.Key, err)
	}
	return c.outputs[0].evidence, nil
}

func newCollector(tree *ledger.Tree, pins *Pins, progress Progress) (*collector, error) {
	roster, err := newRoster(pins)
	if err != nil {
		return nil, err
	}
	erased := map[attestation.Digest]struct{}{}
	return &collector{
		tree: tree, roster: roster, erased: erased, progress: progress,
		reader: reading.New(roster, roster.attachment).TextsFrom(textsOf(tree, erased)).In(tree.Origin()),
	}, nil
}

// add has claims collected about one more output.
func (c *collector) add(id attestation.OutputID, o Output) {
	c.outputs = append(c.outputs, &collected{
		id:       id,
		evidence: &Evidence{Ecosystem: o.Ecosystem, Output: o.Key, Size: c.tree.Size()}, said: map[reading.Key]struct{}{},
	})
}
