package gate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/ledger"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

// Findings beside those of a policy.
const (
	stale   verify.Finding = "stale"   // what was said of late is not known
	invalid verify.Finding = "invalid" // the log, or evidence in it
	proven  verify.Finding = "proven"  // its name proves its content
)

// keeper keeps the evidence that the gate decides by.
type keeper struct {
	config Config
	mirror *verify.Mirror

	mu      sync.Mutex // guards what is below
	updated time.Time  // the last update that succeeded; zero: none did
	trouble error      // of the last update
	forked  error      // a log that forked once is not believed again
	sets    []*verify.Set
	size    uint64                      // of the ledger that known is from
	known   map[string]*verify.Evidence // by store path
	// before is the evidence on earlier versions of a store path, of those that it was asked
	// for; of the same ledger.
	before map[string][]*verify.Evidence
}

// maxKnown bounds the evidence that is held.
const maxKnown = 1 << 16

// refresh updates the mirror.
func (k *keeper) refresh(ctx context.Context) error {
	err := k.config.Pins.Update(ctx, k.mirror, func(string, uint64, uint64) {})
	if err == nil {
		err = k.mirror.CheckAge(ctx, k.config.MaxAge)
	}
	var sets []*verify.Set
	if err == nil {
		sets, err = k.config.Pins.Sets(ctx, k.mirror, k.config.Policy.Sets())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trouble = err
	if _, fork := errors.AsType[*ledger.ForkError](err); fork {
		k.forked = err
	}
	if err == nil {
		k.updated, k.sets = time.Now(), sets
	}
	return err
}

// trust reports why the evidence is not to be relied on: a finding and a
// sentence. It is called with the lock held.
func (k *keeper) trust(now time.Time) (verify.Finding, string) {
	switch {
	case k.forked != nil:
		return invalid, k.forked.Error()
	case errors.Is(k.trouble, ledger.ErrInvalid):
		return invalid, k.trouble.Error()
	case k.updated.IsZero() && k.trouble == nil:
		return stale, "the ledger is being fetched: try again"
	case k.updated.IsZero():
		return stale, fmt.Sprintf("the ledger was not fetched yet: %v", k.trouble)
	case now.Sub(k.updated) > k.config.MaxStale:
		return stale, fmt.Sprintf("the ledger was seen last at %s, longer ago than %s: %v", k.updated.UTC().Format(time.RFC3339), k.config.MaxStale, k.trouble)
	}
	return "", ""
}

// judge decides on a store path with a NAR hash.
func (k *keeper) judge(ctx context.Context, path string, digest attestation.Digest, now time.Time) policy.Decision {
	k.mu.Lock()
	doubt, why := k.trust(now)
	sets := k.sets
	k.mu.Unlock()
	if doubt != "" && !k.config.FailOpen {
		return policy.Decision{Action: policy.Refuse, Finding: doubt, Reasons: []string{why}}
	}
	d, err := k.decide(ctx, path, sets, policy.Case{Digest: &digest, Now: now})
	if err != nil {
		d := policy.Decision{Action: policy.Refuse, Finding: invalid, Reasons: []string{err.Error()}}
		if k.config.FailOpen {
			d.Action = policy.Warn
		}
		return d
	}
	if doubt != "" {
		if d.Action == policy.Refuse && d.Finding == verify.Insufficient {
			d.Action, d.Finding = policy.Warn, doubt
		}
		d.Reasons = append(d.Reasons, "let through for want of fresh evidence: "+why)
	}
	return d
}

// decide has the policy judge a case with the evidence on a path, and on earlier versions of it
// where the policy asks for that.
func (k *keeper) decide(ctx context.Context, path string, sets []*verify.Set, c policy.Case) (policy.Decision, error) {
	evidence, err := k.evidence(ctx, path)
	if err != nil {
		return policy.Decision{}, err
	}
	output := verify.Output{Ecosystem: evidence.Ecosystem, Key: path}
	c.Evidence, c.Sets = evidence, verify.Containing(sets, output)
	d := k.config.Policy.Judge(c)
	if !k.config.Policy.AsksBefore(&d) {
		return d, nil
	}
	if c.Before, err = k.evidenceBefore(ctx, evidence); err != nil {
		return policy.Decision{}, err
	}
	return k.config.Policy.Judge(c), nil
}

// evidenceBefore returns what the mirror has on earlier versions of what evidence is of.
func (k *keeper) evidenceBefore(ctx context.Context, e *verify.Evidence) ([]*verify.Evidence, error) {
	k.mu.Lock()
	before, asked := k.before[e.Output]
	asked = asked && e.Size == k.size
	k.mu.Unlock()
	if asked {
		return before, nil
	}
	all, err := k.mirror.EvidenceBefore(ctx, k.config.Pins, []verify.Output{{Ecosystem: e.Ecosystem, Key: e.Output}}, func(string, uint64, uint64) {})
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.Size == k.size && k.before != nil {
		k.before[e.Output] = all[0]
	}
	return all[0], nil
}

// evidence returns what the mirror has on a path.
func (k *keeper) evidence(ctx context.Context, path string) (*verify.Evidence, error) {
	size := uint64(0)
	if c := k.mirror.Checkpoint(); c != nil {
		size = c.Size
	}
	k.mu.Lock()
	if k.known == nil || size != k.size || len(k.known) >= maxKnown {
		k.known, k.size = map[string]*verify.Evidence{}, size
		k.before = map[string][]*verify.Evidence{}
	}
	e := k.known[path]
	k.mu.Unlock()
	if e != nil {
		return e, nil
	}
	e, err := k.mirror.Evidence(ctx, k.config.Pins, ecosystem.Nix, path)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.Size == k.size {
		k.known[path] = e
	}
	return e, nil
}
