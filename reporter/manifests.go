package reporter

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/durable"
	"repronet.dev/manifest"
	"repronet.dev/reporter/collect"
)

// Bounds of the manifests that are kept until they are asked for, and of what one pass does.
const (
	manifestAge      = 30 * 24 * time.Hour
	maxManifests     = 200
	maxManifestsSize = 256 << 20 // bytes
	// manifestsAtOnce is how many are handed in at once: the files of an output have to be
	// read for one.
	manifestsAtOnce = 20
	// manifestPages bounds how many pages of what is wanted are looked at.
	manifestPages = 10
)

const manifestsDir = "manifests"

// A keptManifest is what a manifest that waits is of.
type keptManifest struct {
	Ecosystem  string                 `json:"ecosystem"`
	DigestKind attestation.DigestKind `json:"digestKind"`
	Output     string                 `json:"output"`
	Digest     attestation.Digest     `json:"digest"`
}

func (k *keptManifest) file() string {
	id := attestation.NewOutputID(k.Ecosystem, k.Output)
	return hex.EncodeToString(id[:]) + "-" + k.Digest.Hex() + ".zst"
}

// KeepManifest keeps what is in a build of an output of Nix until the aggregator asks for it:
// the build itself is about to be deleted.
func (h Home) KeepManifest(ctx context.Context, output string, digest attestation.Digest, dir string) error {
	m, err := manifest.Of(ctx, dir)
	if err != nil {
		return err
	}
	lines, err := m.Encode()
	if err != nil {
		return err
	}
	kept := keptManifest{ecosystem.Nix, attestation.NAR, output, digest}
	head, err := json.Marshal(&kept)
	if err != nil {
		return err
	}
	packed, err := manifest.Pack(append(append(head, '\n'), lines...))
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(h.path(manifestsDir), 0o700); err != nil {
		return fmt.Errorf("keeping a manifest: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(h.path(manifestsDir), kept.file()), packed, 0o600); err != nil {
		return fmt.Errorf("keeping a manifest: %w", err)
	}
	return h.expireManifests()
}

// expireManifests deletes those that are old, and the oldest of too many.
func (h Home) expireManifests() error {
	files, err := os.ReadDir(h.path(manifestsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var infos []fs.FileInfo
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	size := int64(0)
	for i, info := range infos {
		size += info.Size()
		if i < maxManifests && size <= maxManifestsSize && time.Since(info.ModTime()) < manifestAge {
			continue
		}
		if err := durable.Remove(filepath.Join(h.path(manifestsDir), info.Name())); err != nil {
			return err
		}
	}
	return nil
}

// waiting returns the manifest that waits of a build of an output; nil if none does, or it
// cannot be read.
func (h Home) waiting(kept keptManifest) *manifest.Manifest {
	packed, err := os.ReadFile(filepath.Join(h.path(manifestsDir), kept.file()))
	if err != nil {
		return nil
	}
	text, err := manifest.Unpack(packed)
	if err != nil {
		return nil
	}
	head, lines, _ := bytes.Cut(text, []byte("\n"))
	var found keptManifest
	if err := attestation.DecodeStrict(head, &found); err != nil || found != kept {
		return nil
	}
	m, err := manifest.Parse(lines)
	if err != nil {
		return nil
	}
	return m
}

// ManifestReport is what came of handing manifests in.
type ManifestReport struct {
	Wanted int `json:"wanted"` // outputs that diverge, of which the aggregator has no manifest of this builder
	Sent   int `json:"sent"`
	Absent int `json:"absent"` // outputs of which this machine has no build any more that it told of
	Left   int `json:"left"`   // for the next time
	// Problems say of single outputs why their manifest was not made, or not taken.
	Problems []string `json:"problems"`
}

// HandInManifests asks the aggregator of which outputs that diverge it wants to know what is
// in this builder's builds, and hands in what can be had: of a Nix store, and of builds that
// 'rebuild' made. Nothing is told of an output unless a statement about it was sent, of which
// a copy is kept: who asks is not believed to know what was built here. Where the volunteer did
// not agree to it, nobody is asked.
func (r *Runner) HandInManifests(ctx context.Context) (*ManifestReport, error) {
	report := &ManifestReport{Problems: []string{}}
	wanted, err := r.wantedManifests(ctx)
	if err != nil || len(wanted) == 0 {
		return report, err
	}
	report.Wanted = len(wanted)
	asked := map[string]bool{}
	for _, w := range wanted {
		asked[w.Output] = true
	}
	sent, err := r.home.Spool().SentOutputs(ctx, asked)
	if err != nil {
		return report, err
	}
	for _, w := range wanted {
		switch taken, err := r.handIn(ctx, w, sent[w.Output], report.Sent); {
		case ctx.Err() != nil:
			return report, ctx.Err()
		case errors.Is(err, errEnough):
			report.Left++
		case err != nil:
			report.Problems = append(report.Problems, fmt.Sprintf("%s: %v", w.Output, err))
		case taken == 0:
			report.Absent++
		default:
			report.Sent += taken
		}
	}
	return report, r.home.expireManifests()
}

// errEnough is that of an output whose turn is the next time.
var errEnough = errors.New("enough manifests for now")

// tellFiles hands manifests in, if that was not done a moment ago. That it cannot be done now is logged: nothing is lost by it.
func (r *Runner) tellFiles(ctx context.Context) {
	if time.Since(r.told) < recheck {
		return
	}
	r.told = time.Now()
	report, err := r.HandInManifests(ctx)
	if err != nil && ctx.Err() == nil {
		r.logger.Warn("manifests cannot be handed in", "error", err)
	}
	for _, problem := range report.Problems {
		r.logger.Warn("a manifest was not handed in", "reason", problem)
	}
	if report.Sent > 0 {
		r.logger.Info("handed in what is in builds where others got something else", "manifests", report.Sent, "left", report.Left)
	}
}

// wantedManifests asks what is wanted. An aggregator that takes no manifests wants none, nor
// does one that does not know the builder yet.
func (r *Runner) wantedManifests(ctx context.Context) ([]api.WantedManifest, error) {
	if r.config.Builder == "" || r.config.Manifests != ManifestsYes {
		return nil, nil
	}
	var wanted []api.WantedManifest
	cursor := ""
	for range manifestPages {
		page, err := r.api.WantedManifests(ctx, r.config.Builder, cursor)
		if errors.Is(err, fs.ErrNotExist) {
			return wanted, nil
		}
		if err != nil {
			return wanted, err
		}
		wanted = append(wanted, page.Outputs...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	return wanted, nil
}

// handIn hands in what is in this machine's builds of an output.
func (r *Runner) handIn(ctx context.Context, w api.WantedManifest, digests []attestation.Digest, before int) (taken int, err error) {
	if w.Ecosystem != ecosystem.Nix {
		return 0, nil
	}
	for _, digest := range digests {
		if before+taken >= manifestsAtOnce && taken == 0 {
			return 0, errEnough
		}
		kept := keptManifest{w.Ecosystem, attestation.NAR, w.Output, digest}
		m := r.home.waiting(kept)
		waits := m != nil
		if !waits {
			registered, file, ok, err := collect.Registered(ctx, r.store, w.Output)
			if err != nil {
				return taken, err
			}
			if !ok || registered != digest {
				continue
			}
			if m, err = manifest.Of(ctx, file); err != nil {
				return taken, err
			}
		}
		document, err := manifest.Sign(ctx, r.signer, manifest.Statement{
			Ecosystem: w.Ecosystem, DigestKind: attestation.NAR, Output: w.Output, Digest: digest,
		}, m)
		if err != nil {
			return taken, err
		}
		if _, err := r.api.SubmitManifest(ctx, document); err != nil {
			return taken, err
		}
		taken++
		if waits {
			if err := durable.Remove(filepath.Join(r.home.path(manifestsDir), kept.file())); err != nil {
				return taken, err
			}
		}
	}
	return taken, nil
}
