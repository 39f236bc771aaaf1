package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/manifest"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

// ErrRefused is wrapped by errors about recipes that are not built: what they make would be
// no evidence, or they would not be confined.
var ErrRefused = errors.New("not rebuilt")

// A Job is a derivation to be built again, and how.
type Job struct {
	Recipe string // path of the derivation
	From   string // URI of the store that has it; "" is the usual one
	Dir    string // where the builds are made, and nothing stays
	// Times is how many builds are made; 0: as many as it takes to compare, which is one
	// where the store has the outputs, and two otherwise.
	Times  int
	Limits Limits
	Cache  string // see collect.NixBuild
	Log    io.Writer
	// Step is told what is done next, for people.
	Step func(string)
	// Differing is called while two builds of an output that differ are there.
	Differing func(ctx context.Context, o *Output, first, second string) error
}

// An Outcome says what came of a job.
type Outcome string

// The outcomes. Of a job that Failed or TimedOut in a later build, the earlier ones were
// compared nevertheless.
const (
	Reproduced Outcome = "reproduced"
	Differs    Outcome = "differs"
	Failed     Outcome = "failed"
	TimedOut   Outcome = "timed out"
	// NotCompared is one build of which there is no other.
	NotCompared Outcome = "not compared"
)

// A Result is what came of a job.
type Result struct {
	Build   string   `json:"build"` // the derivation
	Outcome Outcome  `json:"outcome"`
	Failure string   `json:"failure,omitempty"` // how a build failed
	Log     []string `json:"log,omitempty"`     // the last lines that the failed build said
	Outputs []Output `json:"outputs"`           // by name
	// Records are what this machine can testify to: every build that it made, with what
	// came out of it.
	Records []*spool.Record `json:"-"`
}

// An Output is one output with all builds of it that were compared.
type Output struct {
	Name   string  `json:"output"` // such as "out"
	Key    string  `json:"key"`    // by which others call it
	Builds []Build `json:"builds"`
	// Difference is between the first build and the first that differs from it.
	Difference *manifest.Difference `json:"difference,omitempty"`
}

// A Build is what one build made of an output.
type Build struct {
	Of     Maker  `json:"of"`
	Digest string `json:"digest"` // sha256:…, of the NAR

	file string
}

// A Maker says whose a build is.
type Maker string

// The makers.
const (
	Earlier Maker = "this machine, before"
	Cache   Maker = "a cache or another machine"
	Again   Maker = "this machine, now"
)

// Run makes the builds of a job and compares what comes out. An error means that nothing is
// known: the recipe was refused ([ErrRefused]), an input is not to be had, a limit stopped a
// build (*[StoppedError]). What was found before is in the result also then.
func Run(ctx context.Context, job Job) (result *Result, err error) {
	recipe, err := collect.ReadRecipe(ecosystem.Of(ecosystem.Nix), job.Recipe, job.From)
	if errors.Is(err, collect.ErrNotEvidence) {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	if reason := recipe.Unconfined(); reason != "" {
		return nil, fmt.Errorf("%w: %s: %s", ErrRefused, job.Recipe, reason)
	}
	s, err := newScratch(job.Dir, job.From, job.Limits, job.Log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	r := &run{Job: job, recipe: recipe, scratch: s, result: &Result{Build: job.Recipe}}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	for i := 1; i <= r.Times && r.result.Failure == ""; i++ {
		if err := r.build(ctx, i); err != nil {
			return r.result, err
		}
	}
	return r.result, r.conclude(ctx)
}

// A run is a job that is being done.
type run struct {
	Job
	recipe        *collect.Recipe
	scratch       *scratch
	configuration string
	result        *Result
}

func (r *run) step(format string, args ...any) {
	if r.Step != nil {
		r.Step(fmt.Sprintf(format, args...))
	}
}

// prepare looks at what there is, and brings what the builds need.
func (r *run) prepare(ctx context.Context) (err error) {
	there, err := r.recipe.Made(ctx, r.From)
	if err != nil {
		return err
	}
	r.earlier(there)
	if r.Times == 0 {
		if r.Times = 1; len(there) < len(r.recipe.Keys) {
			r.Times = 2
		}
	}
	if r.configuration, err = r.scratch.configuration(ctx); err != nil {
		return err
	}
	r.step("copying inputs")
	if err := r.scratch.copyIn(ctx, r.result.Build, r.recipe); err != nil {
		return err
	}
	r.step("getting inputs that the store does not have")
	if err := r.scratch.realiseInputs(ctx, r.recipe); err != nil {
		return fmt.Errorf("an input cannot be had: %w", err)
	}
	return nil
}

// maxAge is how old a build may be that is still told of: an aggregator takes no older one.
const maxAge = 299 * 24 * time.Hour

// earlier notes what the machine's store has of the outputs. What it built itself is its to
// testify to; of the environment then, only the system is known.
func (r *run) earlier(there []collect.Made) {
	var own []spool.Output
	var at time.Time
	for _, m := range there {
		build := Build{Of: Cache, Digest: m.Digest.String(), file: m.File}
		if m.Own {
			build.Of = Earlier
			own = append(own, spool.Output{Key: r.recipe.Keys[m.Output], Digest: m.Digest})
			at = m.At
		}
		r.add(m.Output, build)
	}
	if len(own) == 0 || time.Since(at) > maxAge {
		return
	}
	r.result.Records = append(r.result.Records, &spool.Record{
		Type: attestation.Rebuild, Ecosystem: ecosystem.Nix, DigestKind: attestation.NAR, Build: r.result.Build,
		Finished: at.UTC().Truncate(time.Second), Occasion: attestation.OccasionBuild, Outputs: own,
		Environment: map[string]string{"system": r.recipe.Platform()},
	})
}

// add notes a build of an output.
func (r *run) add(name string, b Build) {
	i := slices.IndexFunc(r.result.Outputs, func(o Output) bool { return o.Name == name })
	if i < 0 {
		i = len(r.result.Outputs)
		r.result.Outputs = append(r.result.Outputs, Output{Name: name, Key: r.recipe.Keys[name]})
	}
	r.result.Outputs[i].Builds = append(r.result.Outputs[i].Builds, b)
}

// build makes one build, and takes what came out of it out of the store.
func (r *run) build(ctx context.Context, number int) error {
	r.step("build %d of %d", number, r.Times)
	started := time.Now().UTC().Truncate(time.Second)
	err := r.scratch.build(ctx, r.result.Build)
	if failed, ok := errors.AsType[*failure](err); ok {
		return r.failed(ctx, failed, started)
	}
	if err != nil {
		return err
	}
	record, err := collect.Nix(ctx, collect.NixBuild{Drv: r.result.Build, Config: r.configuration, Cache: r.Cache})
	if err != nil {
		return err
	}
	record.Started, record.Occasion = started, attestation.OccasionRebuild
	r.result.Records = append(r.result.Records, record)
	made, err := r.recipe.Made(ctx, r.scratch.uri())
	if err != nil {
		return err
	}
	if made, err = r.scratch.takeOut(ctx, made, fmt.Sprintf("build-%d", number)); err != nil {
		return err
	}
	for _, m := range made {
		r.add(m.Output, Build{Of: Again, Digest: m.Digest.String(), file: m.File})
	}
	return nil
}

// failed notes that a build ended without its outputs.
func (r *run) failed(ctx context.Context, f *failure, started time.Time) error {
	environment, err := collect.NixEnvironment(ctx, r.recipe.Platform(), r.configuration, r.Cache)
	if err != nil {
		return err
	}
	r.result.Outcome, r.result.Failure, r.result.Log = Failed, f.sentence, f.log
	if f.timedOut {
		r.result.Outcome = TimedOut
	}
	record := &spool.Record{
		Type: attestation.BuildFailed, Ecosystem: ecosystem.Nix, DigestKind: attestation.File, Build: r.result.Build,
		Recipe: r.recipe.Digest, Started: started, Finished: time.Now().UTC().Truncate(time.Second),
		Occasion: attestation.OccasionRebuild, Failure: f.sentence,
		Environment: environment,
	}
	for _, key := range r.recipe.Keys {
		record.Outputs = append(record.Outputs, spool.Output{Key: key})
	}
	slices.SortFunc(record.Outputs, func(a, b spool.Output) int { return strings.Compare(a.Key, b.Key) })
	r.result.Records = append(r.result.Records, record)
	return nil
}

// conclude compares the builds of each output.
func (r *run) conclude(ctx context.Context) error {
	compared, differs := false, false
	for i := range r.result.Outputs {
		o := &r.result.Outputs[i]
		compared = compared || len(o.Builds) > 1
		first := o.Builds[0]
		other := slices.IndexFunc(o.Builds, func(b Build) bool { return b.Digest != first.Digest })
		if other < 0 {
			continue
		}
		differs = true
		r.step("comparing %s", o.Name)
		var err error
		if o.Difference, err = Compare(ctx, first.file, o.Builds[other].file); err != nil {
			return err
		}
		if r.Differing != nil {
			if err := r.Differing(ctx, o, first.file, o.Builds[other].file); err != nil {
				return err
			}
		}
	}
	switch {
	case r.result.Outcome != "": // a build failed
	case differs:
		r.result.Outcome = Differs
	case compared:
		r.result.Outcome = Reproduced
	default:
		r.result.Outcome = NotCompared
	}
	return nil
}
