package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"repronet/attestation"
	"repronet/dashboard"
	"repronet/divergence"
	"repronet/evidence/narinfo"
	"repronet/ledger"
	"repronet/pkgset"
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
	set, err := pkgset.ParseEntry(entry.Body)
	if err != nil || set.Ecosystem != narinfo.Ecosystem {
		return nil, err
	}
	attachment, err := r.aggregator.ledger.Attachment(ctx, set.SHA256)
	if err != nil {
		return nil, err
	}
	members, err := pkgset.Decode(set.Ecosystem, attachment)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, m := range members {
		if _, err := narinfo.URL("", m.Key); err == nil && !m.Fixed {
			paths = append(paths, m.Key)
		}
	}
	return paths, nil
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
		ids[i] = attestation.NewOutputID(narinfo.Ecosystem, path)
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
	kept, problem := r.aggregator.ingest.SubmitEvidence(ctx, ledger.Narinfo, body)
	switch {
	case problem != nil && !problem.Permanent():
		return problem
	case problem != nil:
		log.WarnContext(ctx, "narinfo refused", "reason", problem.Detail)
	case kept.Reason != "":
		log.InfoContext(ctx, "narinfo does not count", "reason", kept.Reason)
	}
	return nil
}
