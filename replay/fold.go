package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// An Output is one output's history and present state.
type Output struct {
	ID        attestation.OutputID
	First     uint64 // the entry that named it first
	Judgement divergence.Judgement
	Changes   []Change          // oldest first
	Claims    divergence.Output // of one that diverges
}

// A Change is a transition from one verdict to another.
type Change struct {
	Index    uint64
	From, To divergence.Verdict
}

// Judge calls visit with every output that a claim or a package set ever named, in
// the order of their IDs, and completes the counts. It is called once.
func (r *Replay) Judge(ctx context.Context, visit func(*Output) error) error {
	group, ctx := errgroup.WithContext(ctx)
	type result struct {
		outputs []Output
		counts  *counts
		agreer  *agreer
	}
	results := [Partitions]chan result{}
	for i := range results {
		results[i] = make(chan result, 1)
	}
	// One for each worker is judged while one waits to be visited.
	ahead := make(chan struct{}, r.config.Workers+1)
	group.Go(func() error {
		workers, ctx := errgroup.WithContext(ctx)
		workers.SetLimit(r.config.Workers)
		for i := range results {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return workers.Wait()
			}
			workers.Go(func() error {
				ops, err := r.spill.Bytes(i)
				if err != nil {
					return err
				}
				c := newCounts()
				a := &agreer{asOf: r.agreer.asOf, pairs: map[pair]agreement{}}
				results[i] <- result{r.fold(ops, c, a), c, a}
				return nil
			})
		}
		return workers.Wait()
	})
	group.Go(func() error {
		for i := range results {
			var part result
			select {
			case part = <-results[i]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			<-ahead
			r.counts.merge(part.counts)
			r.agreer.merge(part.agreer)
			for j := range part.outputs {
				if err := visit(&part.outputs[j]); err != nil {
					return err
				}
			}
			r.config.Progress("judging", uint64(i+1)*r.Size/Partitions, r.Size)
		}
		return nil
	})
	return group.Wait()
}

// fold judges the outputs of one partition.
func (r *Replay) fold(encoded []byte, c *counts, a *agreer) []Output {
	f := folder{replay: r, counts: c, agreer: a, roster: asOf{timeline: r.timeline}}
	var outputs []Output
	var ops []op // of one output
	places := byOutput(encoded)
	for i, p := range places {
		ops = append(ops, decodeOp(encoded[p.at*opSize:]))
		if i+1 < len(places) && idAt(encoded, places[i+1].at) == ops[0].id {
			continue
		}
		if o, named := f.output(ops); named {
			outputs = append(outputs, o)
		}
		ops = ops[:0]
	}
	return outputs
}

// A place is where an op is, and the first bytes of its output's ID.
type place struct {
	prefix uint64
	at     int
}

// byOutput returns the places of the ops by output, those of one in ledger order.
func byOutput(encoded []byte) []place {
	places := make([]place, len(encoded)/opSize)
	for i := range places {
		places[i] = place{binary.BigEndian.Uint64(encoded[i*opSize:]), i}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		x, y := idAt(encoded, a.at), idAt(encoded, b.at)
		return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(a.at, b.at))
	})
	return places
}

func idAt(encoded []byte, at int) attestation.OutputID {
	return attestation.OutputID(encoded[at*opSize:][:len(attestation.OutputID{})])
}

// A folder folds one output after the other.
type folder struct {
	replay   *Replay
	counts   *counts
	agreer   *agreer
	roster   asOf
	builders []uint32
}

// output folds what the ledger says of one output; named is false if that is no
// more than withdrawals of what was never claimed.
func (f *folder) output(ops []op) (o Output, named bool) {
	o.ID = ops[0].id
	all := ops
	f.builders = f.builders[:0]
	for _, op := range ops {
		if op.kind.claims() && !slices.Contains(f.builders, op.builder) {
			f.builders = append(f.builders, op.builder)
		}
	}
	again := f.replay.timeline.rejudgements(f.builders)
	var claims divergence.Output
	var verdict divergence.Verdict
	var memberships []uint64
	compared := f.agreer.asOf == 0
	for len(ops) > 0 || len(again) > 0 {
		at := next(ops, again)
		if !compared && at >= f.agreer.asOf {
			f.agreer.output(&claims, f.replay.timeline)
			compared = true
		}
		changed := false
		for ; len(again) > 0 && again[0] == at; again = again[1:] {
			changed = named
		}
		publishes := false
		for ; len(ops) > 0 && ops[0].index == at; ops = ops[1:] {
			if ops[0].kind == member {
				publishes = true
			}
			if ops[0].kind != withdraw && !named {
				named, o.First = true, at
			}
			changed = apply(&claims, &ops[0]) || changed
		}
		if changed {
			f.roster.at = at
			o.Judgement = divergence.Judge(&claims, &f.roster)
			if o.Judgement.Verdict != verdict {
				o.Changes = append(o.Changes, Change{at, verdict, o.Judgement.Verdict})
				f.move(at, memberships, verdict, o.Judgement.Verdict)
				verdict = o.Judgement.Verdict
			}
		}
		if publishes {
			memberships = append(memberships, at)
			f.counts.revision(at)[verdict]++
		}
	}
	if !compared {
		f.agreer.output(&claims, f.replay.timeline)
	}
	for _, published := range memberships {
		if f.until(published) == math.MaxUint64 {
			f.counts.hear(published, f.replay.Size, all)
		}
	}
	if verdict == divergence.Diverged {
		o.Claims = claims
	}
	return o, named
}

// next returns the ledger index of what comes first.
func next(ops []op, again []uint64) uint64 {
	switch {
	case len(ops) == 0:
		return again[0]
	case len(again) == 0:
		return ops[0].index
	default:
		return min(ops[0].index, again[0])
	}
}

// claims reports whether the op says that the output has a digest.
func (k opKind) claims() bool { return k == add || k == addDocument || k == addAmbiguous }

func apply(claims *divergence.Output, o *op) (changed bool) {
	switch o.kind {
	case add, addDocument, addAmbiguous:
		return claims.Add(divergence.Claim{
			Builder: o.builder, Digest: o.digest, Index: o.index, Inputs: o.inputs,
			Document: o.kind != add, SignedAt: o.signedAt, Ambiguous: o.kind == addAmbiguous,
		})
	case withdraw:
		return claims.Withdraw(o.builder, o.digest)
	default:
		return false
	}
}

// until returns the entry with the set's revision after the one that an entry published.
func (f *folder) until(published uint64) uint64 {
	i, _ := slices.BinarySearchFunc(f.replay.revisions, published, func(r revision, index uint64) int { return cmp.Compare(r.index, index) })
	return f.replay.revisions[i].until
}

// move counts a transition, of all outputs and of the package sets of which the
// output is a member at the time.
func (f *folder) move(at uint64, memberships []uint64, from, to divergence.Verdict) {
	day := f.replay.dayOf(at)
	f.counts.move(scopeDay{everything, day}, from, to)
	for _, published := range memberships {
		if at < f.until(published) {
			f.counts.move(scopeDay{published, day}, from, to)
		}
	}
}
