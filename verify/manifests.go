package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/manifest"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// maxManifests is how many manifests of an output are fetched, one of each digest: each is
// held in memory.
const maxManifests = 8

// A PinnedManifest is what a pinned builder says is in its build of an output.
type PinnedManifest struct {
	*manifest.Signed
	Operator string
}

// Manifests fetches what pinned builders say is in their builds of an output, one for each
// digest. Which claims stand is not asked: a manifest is of a build whether or not it counts.
// ignored says of the others why they are not believed. The error is an [fs.ErrNotExist]
// for an output that the aggregator does not know.
func (a *Aggregator) Manifests(ctx context.Context, pins *Pins, ecosystem, output string) (found []PinnedManifest, ignored []string, err error) {
	roster, err := newRoster(pins)
	if err != nil {
		return nil, nil, err
	}
	reader := reading.New(roster, roster.attachment)
	check := func(ctx context.Context, bundle []byte) ([]byte, signing.BuilderID, error) {
		return reader.Payload(ctx, bundle, time.Now())
	}
	listed, err := a.api.Differences(ctx, output)
	if err != nil {
		return nil, nil, err
	}
	have := map[string]bool{} // digests
	for _, m := range listed.Manifests {
		builder, err := signing.ParseBuilderID(m.Builder)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the list of manifests: %w", err)
		}
		at := slices.IndexFunc(pins.Builders, func(b Builder) bool { return b.ID == builder })
		switch {
		case have[m.Digest]:
			continue
		case at < 0:
			ignored = append(ignored, fmt.Sprintf("builder %s is not pinned", builder))
			continue
		case len(found) == maxManifests:
			ignored = append(ignored, fmt.Sprintf("%d digests are compared, not %s", maxManifests, m.Digest))
			continue
		}
		signed, err := a.manifest(ctx, ecosystem, output, m.Digest, builder, check)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) {
				return nil, nil, err
			}
			ignored = append(ignored, fmt.Sprintf("of builder %s: %v", builder, err))
			continue
		}
		have[m.Digest] = true
		found = append(found, PinnedManifest{signed, pins.Builders[at].Operator})
	}
	return found, ignored, nil
}

// manifest fetches one manifest, which has to be the one that was asked for.
func (a *Aggregator) manifest(ctx context.Context, ecosystem, output, digest string, builder signing.BuilderID, check manifest.Check) (*manifest.Signed, error) {
	want, err := attestation.ParseDigest(digest)
	if err != nil {
		return nil, err
	}
	document, err := a.api.Manifest(ctx, output, want, builder)
	if err != nil {
		return nil, err
	}
	signed, err := manifest.Open(ctx, document, check)
	if err != nil {
		return nil, err
	}
	if signed.Builder != builder || signed.Ecosystem != ecosystem || signed.Output != output || signed.Digest != want {
		return nil, fmt.Errorf("%w: it is another one than was asked for", manifest.ErrMalformed)
	}
	return signed, nil
}
