package reports

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/manifest"
)

// maxPairs is how many pairs of digests are compared of one output.
const maxPairs = 7

// maxCached is how many comparisons are kept; one has [manifest.MaxListed] files at most.
const maxCached = 256

// differences are comparisons that were made before.
type differences struct {
	mu   sync.Mutex // guards made
	made map[[2]pairEnd]*manifest.Difference
}

// forget lets go of all: one of the manifests is gone, and another may come in its place.
func (d *differences) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.made)
}

func (d *differences) get(of [2]pairEnd) *manifest.Difference {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made[of]
}

func (d *differences) put(of [2]pairEnd, found *manifest.Difference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for other := range d.made {
		if len(d.made) < maxCached {
			break
		}
		delete(d.made, other) // whichever comes
	}
	if d.made == nil {
		d.made = map[[2]pairEnd]*manifest.Difference{}
	}
	d.made[of] = found
}

// A pairEnd is one manifest of a pair.
type pairEnd struct {
	output attestation.OutputID
	name
}

// Of says where the builds of an output differ. Manifests of claims that do not count any
// more are left out.
func (r *Reports) Of(ctx context.Context, output *api.Output) (*api.Differences, error) {
	d := &api.Differences{Output: output.Key, Manifests: []api.Manifest{}, Pairs: []api.DifferingPair{}}
	if output.Verdict != api.Diverged {
		return d, nil
	}
	names, err := r.names(output.Ecosystem, output.Key)
	if err != nil || len(names) == 0 {
		return d, err
	}
	operators := map[string]map[string]bool{} // by digest
	for i := range output.Claims {
		if c := &output.Claims[i]; c.Counts {
			if operators[c.Digest] == nil {
				operators[c.Digest] = map[string]bool{}
			}
			operators[c.Digest][c.Operator] = true
		}
	}
	var first []name // of each digest one
	for _, n := range names {
		operator := operatorOf(output, n)
		if operator == "" {
			continue
		}
		d.Manifests = append(d.Manifests, api.Manifest{Digest: n.digest.String(), Builder: string(n.builder), Operator: operator})
		if !slices.ContainsFunc(first, func(other name) bool { return other.digest == n.digest }) {
			first = append(first, n)
		}
	}
	slices.SortStableFunc(first, func(a, b name) int {
		return len(operators[b.digest.String()]) - len(operators[a.digest.String()])
	})
	for i := 1; i < min(len(first), maxPairs+1); i++ {
		difference, err := r.compare(ctx, output, first[0], first[i])
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // a damaged file; everything else that is known of the output is told
			r.config.Logger.WarnContext(ctx, "manifests cannot be compared", "error", err)
			continue
		}
		d.Pairs = append(d.Pairs, api.DifferingPair{First: of(d, first[0]), Second: of(d, first[i]), Difference: *difference})
	}
	return d, nil
}

// of returns what is told of a manifest.
func of(d *api.Differences, n name) api.Manifest {
	i := slices.IndexFunc(d.Manifests, func(m api.Manifest) bool {
		return m.Digest == n.digest.String() && m.Builder == string(n.builder)
	})
	return d.Manifests[i]
}

// compare compares two manifests of an output, or returns what came of it before.
func (r *Reports) compare(ctx context.Context, output *api.Output, first, second name) (*manifest.Difference, error) {
	id := attestation.NewOutputID(output.Ecosystem, output.Key)
	key := [2]pairEnd{{id, first}, {id, second}}
	if found := r.differences.get(key); found != nil {
		return found, nil
	}
	if err := r.opening.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer r.opening.Release(1)
	if found := r.differences.get(key); found != nil { // while this one waited
		return found, nil
	}
	var both [2]*manifest.Manifest
	for i, n := range []name{first, second} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		document, err := r.Document(output.Ecosystem, output.Key, n.digest, n.builder)
		if err != nil {
			return nil, err
		}
		_, lines, _ := bytes.Cut(document, []byte("\n")) // checked when it was taken
		if both[i], err = manifest.Parse(lines); err != nil {
			return nil, fmt.Errorf("reading the manifest of %s by %s: %w", output.Key, n.builder, err)
		}
	}
	found := manifest.Compare(both[0], both[1])
	r.differences.put(key, found)
	return found, nil
}
