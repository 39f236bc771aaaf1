package reports

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/internal/durable"
	"repronet.dev/manifest"
	"repronet.dev/signing"
)

// A Source says what the index has: package query does.
type Source interface {
	// Output looks an output up by its key. It returns [dashboard.ErrNotFound] for one that
	// is not known.
	Output(ctx context.Context, key string) (*api.Output, error)
	Divergences(ctx context.Context, query api.DivergenceQuery) (*api.DivergencePage, error)
}

// Config is what Reports are made of. Dir, Source and Check are needed.
type Config struct {
	Dir    string
	Source Source
	// Check checks who signed a bundle, at the time of the call.
	Check manifest.Check
	// MaxBytes is how many bytes all of them may have on disk; 0: 2 GiB.
	MaxBytes int64
	Logger   *slog.Logger
}

// Limits of what is kept of one output: the first builders of each digest are enough to
// compare.
const (
	maxOfOutput = 32
	maxOfDigest = 4
	// maxBytes is the usual Config.MaxBytes.
	maxBytes = 2 << 30
	// retention is for how long a manifest is kept that nothing asks for.
	retention = 30 * 24 * time.Hour
)

// Reports are the manifests that an aggregator has.
type Reports struct {
	config Config

	opening *semaphore.Weighted // has one place: a manifest takes several times its size of memory

	mu    sync.Mutex // guards what follows, and held while a file is written or removed
	bytes int64      // on disk

	differences differences
}

// Open opens the directory, which it makes if it is not there.
func Open(config Config) (*Reports, error) {
	if config.MaxBytes == 0 {
		config.MaxBytes = maxBytes
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reports{config: config, opening: semaphore.NewWeighted(1)}
	if err := durable.MkdirAll(config.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("opening reports: %w", err)
	}
	err := filepath.WalkDir(config.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			r.bytes += info.Size()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening reports: %w", err)
	}
	return r, nil
}

// A name is what a file is called: what it is a manifest of.
type name struct {
	digest  attestation.Digest
	builder signing.BuilderID
}

const suffix = ".jsonl.zst"

func (n name) String() string { return n.digest.Hex() + "." + string(n.builder) + suffix }

func parseName(file string) (n name, ok bool) {
	text, ok := strings.CutSuffix(file, suffix)
	digest, builder, found := strings.Cut(text, ".")
	var err, builderErr error
	n.digest, err = attestation.ParseDigest(digest)
	n.builder, builderErr = signing.ParseBuilderID(builder)
	return n, ok && found && err == nil && builderErr == nil
}

// dir is where the manifests of an output are.
func (r *Reports) dir(ecosystem, output string) string {
	id := attestation.NewOutputID(ecosystem, output)
	text := hex.EncodeToString(id[:])
	return filepath.Join(r.config.Dir, "manifests", text[:2], text)
}

// names are the manifests of an output that are there.
func (r *Reports) names(ecosystem, output string) ([]name, error) {
	files, err := os.ReadDir(r.dir(ecosystem, output))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading reports: %w", err)
	}
	var names []name
	for _, file := range files {
		if n, ok := parseName(file.Name()); ok {
			names = append(names, n)
		}
	}
	return names, nil
}

// Take keeps a manifest that a builder hands in. An error is an [api.Problem], one of the
// check, or one of the disk.
func (r *Reports) Take(ctx context.Context, document []byte) (*api.ManifestKept, error) {
	if err := r.opening.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer r.opening.Release(1)
	signed, err := manifest.Open(ctx, document, r.config.Check)
	if errors.Is(err, manifest.ErrMalformed) {
		return nil, api.NewProblem(api.ProblemMalformed, err.Error())
	}
	if err != nil {
		return nil, err
	}
	if err := r.wants(ctx, signed); err != nil {
		return nil, err
	}
	packed, err := manifest.Pack(document)
	if err != nil {
		return nil, err
	}
	kept := &api.ManifestKept{ID: signed.ID.String()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept.Duplicate, err = r.put(signed, packed); err != nil {
		return nil, err
	}
	return kept, nil
}

// wants reports, as an [api.Problem], that a manifest is of a build that none is wanted of.
func (r *Reports) wants(ctx context.Context, signed *manifest.Signed) error {
	output, err := r.config.Source.Output(ctx, signed.Output)
	if errors.Is(err, dashboard.ErrNotFound) || err == nil && (output.Ecosystem != signed.Ecosystem || output.Verdict != api.Diverged) {
		return api.NewProblem(api.ProblemNotWanted, fmt.Sprintf("Output %.200q does not diverge here: manifests are of outputs that do.", signed.Output))
	}
	if err != nil {
		return err
	}
	if !claimed(output, name{signed.Digest, signed.Builder}) {
		return api.NewProblem(api.ProblemNotWanted, fmt.Sprintf("No claim of builder %s that %.200q has digest %s counts: submit that first.", signed.Builder, signed.Output, signed.Digest))
	}
	return nil
}

// claimed reports whether a claim counts that the builder got the digest.
func claimed(output *api.Output, n name) bool { return operatorOf(output, n) != "" }

// operatorOf returns the operator in whose position a builder's claim of a digest is; "" if
// no claim of it counts.
func operatorOf(output *api.Output, n name) string {
	for i := range output.Claims {
		c := &output.Claims[i]
		if c.Counts && c.Builder == string(n.builder) && c.Digest == n.digest.String() {
			return c.Operator
		}
	}
	return ""
}

// put writes a manifest's file, unless there is one.
func (r *Reports) put(signed *manifest.Signed, packed []byte) (duplicate bool, err error) {
	n := name{signed.Digest, signed.Builder}
	names, err := r.names(signed.Ecosystem, signed.Output)
	if err != nil {
		return false, err
	}
	if slices.Contains(names, n) {
		return true, nil
	}
	if countOf(names, n.digest.String()) >= maxOfDigest || len(names) >= maxOfOutput {
		return false, api.NewProblem(api.ProblemNotWanted, "There are enough manifests of this output.")
	}
	if r.bytes+int64(len(packed)) > r.config.MaxBytes {
		return false, api.NewProblem(api.ProblemOverBudget, fmt.Sprintf("All manifests together have %d bytes, and more are not kept.", r.config.MaxBytes))
	}
	dir := r.dir(signed.Ecosystem, signed.Output)
	if err := durable.MkdirAll(dir, 0o750); err != nil {
		return false, fmt.Errorf("keeping a manifest: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, n.String()), packed, 0o640); err != nil {
		return false, fmt.Errorf("keeping a manifest: %w", err)
	}
	r.bytes += int64(len(packed))
	return false, nil
}

// Document returns a manifest as it was handed in. It returns [dashboard.ErrNotFound] if there
// is none.
func (r *Reports) Document(ecosystem, output string, digest attestation.Digest, builder signing.BuilderID) ([]byte, error) {
	return read(filepath.Join(r.dir(ecosystem, output), name{digest, builder}.String()))
}

// read returns the document in a file.
func read(file string) ([]byte, error) {
	packed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, dashboard.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading a manifest: %w", err)
	}
	return manifest.Unpack(packed)
}

// peek returns what the manifest in a file is of.
func peek(file string) (*manifest.Statement, error) {
	document, err := read(file)
	if err != nil {
		return nil, err
	}
	text, _, _ := bytes.Cut(document, []byte("\n"))
	bundle, err := signing.ParseBundle(text)
	if err != nil {
		return nil, err
	}
	return manifest.ParseStatement(bundle.Payload)
}

// pages bounds how many pages of divergences are looked through for one answer.
const (
	pages    = 5
	pageSize = 200
)

// Wanted says of which outputs a builder's manifest is wanted, from a cursor on.
func (r *Reports) Wanted(ctx context.Context, builder signing.BuilderID, cursor string) (*api.WantedManifests, error) {
	wanted := &api.WantedManifests{Outputs: []api.WantedManifest{}, Next: cursor}
	for range pages {
		page, err := r.config.Source.Divergences(ctx, api.DivergenceQuery{Builder: builder, Limit: pageSize, Cursor: wanted.Next})
		if err != nil {
			return nil, err
		}
		for i := range page.Divergences {
			row := &page.Divergences[i]
			names, err := r.names(row.Ecosystem, row.Key)
			if err != nil {
				return nil, err
			}
			if has(names, builder) {
				continue
			}
			room, err := r.hasRoom(ctx, row.Key, names, builder)
			if err != nil {
				return nil, err
			}
			if room {
				wanted.Outputs = append(wanted.Outputs, api.WantedManifest{Output: row.Key, Ecosystem: row.Ecosystem})
			}
		}
		if wanted.Next = page.Next; wanted.Next == "" || len(wanted.Outputs) >= pageSize {
			break
		}
	}
	return wanted, nil
}

func has(names []name, builder signing.BuilderID) bool {
	return slices.ContainsFunc(names, func(n name) bool { return n.builder == builder })
}

// hasRoom reports whether a manifest of a builder would be kept, beside those that there are
// of an output: who is asked is not to be refused.
func (r *Reports) hasRoom(ctx context.Context, output string, names []name, builder signing.BuilderID) (bool, error) {
	if len(names) < maxOfDigest || len(names) >= maxOfOutput {
		return len(names) < maxOfOutput, nil
	}
	of, err := r.config.Source.Output(ctx, output)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(of.Claims, func(c api.Claim) bool {
		return c.Counts && c.Builder == string(builder) && countOf(names, c.Digest) < maxOfDigest
	}), nil
}

// countOf returns how many manifests there are of a digest.
func countOf(names []name, digest string) (n int) {
	for _, other := range names {
		if other.digest.String() == digest {
			n++
		}
	}
	return n
}
