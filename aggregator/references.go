package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// referencesAtOnce bounds the files fetched in one run of the job.
const referencesAtOnce = 500

// references fetches narinfo of outputs of published sets that have none yet. What
// was fetched becomes an entry of the ledger, like what anybody relays.
type references struct {
	aggregator *Aggregator
	source     dashboard.StatusSource
	http       *http.Client
	// next is where the next run goes on in each set, by the set and the cache:
	// a restart begins anew, and passes over what is in the ledger.
	next map[string]int
}

func newReferences(a *Aggregator, source dashboard.StatusSource) *references {
	const timeout = 20 * time.Second // of one small file
	return &references{a, source, &http.Client{Timeout: timeout}, map[string]int{}}
}

// run asks every cache for the next outputs of every set.
func (r *references) run(ctx context.Context) error {
	sets, err := r.source.Sets(ctx)
	if err != nil {
		return err
	}
	left := referencesAtOnce
	for _, set := range sets {
		members, err := r.members(ctx, set.Index)
		if err != nil {
			return fmt.Errorf("reading set %s: %w", set.Name, err)
		}
		for _, cache := range r.aggregator.config.Caches {
			if err := r.ask(ctx, cache, fmt.Sprintf("%s %d", cache.URL, set.Index), members, &left); err != nil {
				return fmt.Errorf("fetching references of %s: %w", set.Name, err)
			}
		}
	}
	return nil
}

// members returns the store paths of a published set that builds decide.
func (r *references) members(ctx context.Context, index uint64) ([]string, error) {
	entry, err := r.aggregator.ledger.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	set, ok := reading.As[*reading.Set](index, entry)
	if !ok || set.Ecosystem != ecosystem.Nix {
		return nil, nil
	}
	members, err := set.Members(ctx, r.aggregator.ledger.Attachment)
	if err != nil {
		return nil, err
	}
	var paths []string
	for i := range members.Counted {
		if key := members.Counted[i].Key; validPath(key) {
			paths = append(paths, key)
		}
	}
	return paths, nil
}

// validPath reports whether a binary cache may have the output.
func validPath(key string) bool {
	_, err := narinfo.URL("", key)
	return err == nil
}

// ask fetches from one cache what the paths lack, from where it stopped last time.
func (r *references) ask(ctx context.Context, cache Cache, place string, paths []string, left *int) error {
	for *left > 0 && r.next[place] < len(paths) {
		from := r.next[place]
		part := paths[from:min(from+*left, len(paths))]
		lacking, err := r.lacking(ctx, part)
		if err != nil {
			return err
		}
		for i, path := range part {
			if lacking[i] {
				if err := r.fetch(ctx, cache, path); err != nil {
					return err
				}
				*left--
			}
			r.next[place] = from + i + 1
		}
	}
	if r.next[place] >= len(paths) {
		r.next[place] = 0 // the cache may have more the next time
	}
	return nil
}

// lacking says of each path whether no document speaks of it.
func (r *references) lacking(ctx context.Context, paths []string) ([]bool, error) {
	ids := make([]attestation.OutputID, len(paths))
	for i, path := range paths {
		ids[i] = attestation.NewOutputID(ecosystem.Nix, path)
	}
	tables, release := r.aggregator.store.Acquire()
	defer release()
	states, err := tables.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	lacking := make([]bool, len(paths))
	for i, id := range ids {
		state, ok := states[id]
		lacking[i] = !ok || !slices.ContainsFunc(state.Claims.Claims, func(c divergence.Claim) bool { return c.Document })
	}
	return lacking, nil
}

// fetch gets one narinfo and submits it. What the cache does not have, or has no
// key for, is no failure.
func (r *references) fetch(ctx context.Context, cache Cache, path string) error {
	url, err := narinfo.URL(cache.URL, path)
	if err != nil {
		return err
	}
	body, err := narinfo.Fetch(ctx, r.http, url)
	if errors.Is(err, narinfo.ErrNotThere) {
		return nil
	}
	if err != nil {
		return err
	}
	log := r.aggregator.deps.Logger.With("url", url)
	if info, err := narinfo.Parse(body); err != nil || info.StorePath != path {
		log.WarnContext(ctx, "cache answered with something else", "path", path, "error", err)
		return nil
	}
	kept, err := r.aggregator.ingest.SubmitEvidence(ctx, ledger.Narinfo, body)
	switch {
	case err != nil && !web.ProblemOf(err).Permanent():
		return err
	case err != nil:
		log.WarnContext(ctx, "narinfo refused", "reason", err)
	case kept.Reason != "":
		log.InfoContext(ctx, "narinfo does not count", "reason", kept.Reason)
	}
	return nil
}
