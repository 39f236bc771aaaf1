package command

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

// A build is what the flags of attest and exec say.
type build struct {
	ecosystem, name string
	outputs, traits []string
	rebuild         bool

	// recipe is what a build in a store is made by; see resolve
	recipe *collect.Recipe
}

func buildFlags(flags *flag.FlagSet) *build {
	b := &build{}
	flags.StringVar(&b.ecosystem, "ecosystem", ecosystem.Generic, "the `ecosystem` that the build's name belongs to")
	flags.StringVar(&b.name, "build", "", "the build's `name`: its recipe, pinned by hash or exact version")
	flags.Func("output", "an output as `NAME=PATH`: a file or a directory; may be given several times", func(v string) error {
		if name, path, found := strings.Cut(v, "="); !found || name == "" || path == "" {
			return fmt.Errorf("an output is written NAME=PATH")
		}
		b.outputs = append(b.outputs, v)
		return nil
	})
	flags.Func("trait", "a trait of the environment as `NAME=VALUE`, among "+strings.Join(attestation.Traits(), ", "), func(v string) error {
		if name, _, found := strings.Cut(v, "="); !found || !slices.Contains(attestation.Traits(), name) {
			return fmt.Errorf("a trait is written NAME=VALUE, with one of the names %s", strings.Join(attestation.Traits(), ", "))
		}
		b.traits = append(b.traits, v)
		return nil
	})
	flags.BoolVar(&b.rebuild, "rebuild", false, "the build was made on purpose to compare")
	return b
}

// check reports what is wrong with the flags, and completes a generic build's
// name.
func (b *build) check(c *reporter.Config) error {
	if b.name == "" {
		return cli.Usagef("--build is missing")
	}
	if len(b.outputs) == 0 {
		return cli.Usagef("--output is missing")
	}
	if err := attestation.ValidateEcosystem(b.ecosystem); err != nil {
		return cli.Usagef("%w", err)
	}
	if ecosystem.Of(b.ecosystem).Owned() && !strings.Contains(b.name, "/") {
		if c.Operator == "" {
			return cli.Usagef("--build %s: a generic build is named OPERATOR/NAME; set your own operator's name with 'repronet-reporter init --operator NAME'", b.name)
		}
		b.name = c.Operator + "/" + b.name
	}
	if err := attestation.ValidateBuild(b.ecosystem, b.name); err != nil {
		return cli.Usagef("%w", err)
	}
	if ecosystem.Of(b.ecosystem).Store != "" {
		return b.resolve()
	}
	for _, output := range b.outputs {
		name, _, _ := strings.Cut(output, "=")
		if err := attestation.ValidateOutput(b.ecosystem, b.key(name)); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	return nil
}

// resolve finds the outputs' store paths in the recipe: what others call them.
func (b *build) resolve() (err error) {
	if b.recipe, err = collect.ReadRecipe(ecosystem.Of(b.ecosystem), b.name, os.Getenv("NIX_REMOTE")); err != nil {
		return err
	}
	for _, output := range b.outputs {
		name, _, _ := strings.Cut(output, "=")
		if b.recipe.Keys[name] == "" {
			return cli.Usagef("--output %s: %s has the outputs %s", output, b.name, b.recipe.OutputNames())
		}
	}
	return nil
}

// key returns the key of an output.
func (b *build) key(name string) string {
	if b.recipe != nil {
		return b.recipe.Keys[name]
	}
	return ecosystem.Of(b.ecosystem).Key(b.name, name)
}

// digest hashes an output: one in a store as the store does, others by what they are.
func (b *build) digest(path string) (attestation.Digest, attestation.DigestKind, error) {
	if b.recipe != nil {
		digest, err := b.recipe.OutputDigest(path)
		return digest, attestation.NAR, err
	}
	return collect.Digest(path)
}

// record is the record of the build without its outputs.
func (b *build) record(finished time.Time) *spool.Record {
	_, path, _ := strings.Cut(b.outputs[0], "=")
	environment := collect.Environment(filepath.Dir(path))
	for _, trait := range b.traits {
		name, value, _ := strings.Cut(trait, "=")
		environment[name] = value
	}
	occasion := attestation.OccasionBuild
	if b.rebuild {
		occasion = attestation.OccasionRebuild
	}
	return &spool.Record{
		Type: attestation.Rebuild, Ecosystem: b.ecosystem, Build: b.name, Environment: environment,
		Finished: finished.UTC().Truncate(time.Second), Occasion: occasion,
	}
}

// records hashes the outputs. Files and directories make two records: a
// statement's digests are all of one kind.
func (b *build) records(started, finished time.Time) ([]*spool.Record, error) {
	kinds := make(map[attestation.DigestKind]*spool.Record)
	var records []*spool.Record
	for _, output := range b.outputs {
		name, path, _ := strings.Cut(output, "=")
		digest, kind, err := b.digest(path)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", name, err)
		}
		r := kinds[kind]
		if r == nil {
			r = b.record(finished)
			r.DigestKind = kind
			if !started.IsZero() {
				r.Started = started.UTC().Truncate(time.Second)
			}
			kinds[kind] = r
			records = append(records, r)
		}
		r.Outputs = append(r.Outputs, spool.Output{Key: b.key(name), Digest: digest})
	}
	return records, nil
}

// failed is the record of a build that ended without its outputs.
func (b *build) failed(started, finished time.Time, failure string) *spool.Record {
	r := b.record(finished)
	r.Type, r.DigestKind, r.Failure = attestation.BuildFailed, attestation.File, failure
	r.Started = started.UTC().Truncate(time.Second)
	for _, output := range b.outputs {
		name, _, _ := strings.Cut(output, "=")
		r.Outputs = append(r.Outputs, spool.Output{Key: b.key(name)})
	}
	r.Recipe = sha256.Sum256([]byte(b.name))
	if b.recipe != nil {
		r.Recipe = b.recipe.Digest
	}
	return r
}

func attestCommand() cli.Command {
	return cli.Command{
		Name:     "attest",
		Synopsis: "--build NAME --output NAME=PATH … [OPTIONS]",
		Summary:  "record a build that was made by other means",
		About: `  Hashes what a build made and records it in the spool; 'run' submits it. A
  file's digest is the SHA-256 of its bytes, a directory's that of its NAR
  serialisation, which is what 'nix-hash --type sha256 DIRECTORY' prints.

  A generic build is named OPERATOR/NAME by its definer: all who build the same
  thing give the same name. Without an OPERATOR/ your own is put before it.

  A build of Nix or Guix is named by its derivation, which has to be on this machine:
  it says which store path each output has, under which the claim is made. PATH may be
  what was kept of another build, such as …-hello.check of 'nix-build --check -K', or a
  link to it, such as 'result'. The hook ('hook install') does all this by itself.

EXIT STATUS
  0   recorded
  1   an output or the derivation could not be read, the derivation's outputs are
      no evidence, or the record could not be written
  64  the command was called wrongly

EXAMPLES
  repronet-reporter attest --build alice/hello-1.0 --output bin=./hello
  repronet-reporter attest --ecosystem go --build golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64 \
      --output zip=go1.26.8.zip --trait go=go1.26.8
  repronet-reporter attest --ecosystem nix --rebuild --build /nix/store/…-hello.drv \
      --output out=/nix/store/…-hello.check`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			b := buildFlags(flags)
			asJSON := flags.Bool("json", false, "print one JSON array of what was recorded")
			return func(_ context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				home, err := b.open(dir)
				if err != nil {
					return err
				}
				records, err := b.records(time.Time{}, time.Now())
				if err != nil {
					return err
				}
				return put(home, records, func(outputs []spool.Output) error { return printOutputs(env, outputs, *asJSON) })
			}
		},
	}
}

// open checks the flags against the directory's configuration.
func (b *build) open(dir func() (reporter.Home, error)) (reporter.Home, error) {
	home, err := dir()
	if err != nil {
		return "", err
	}
	config, err := home.Config()
	if err != nil {
		return "", err
	}
	return home, b.check(config)
}

// put records what was built, and shows the outputs of builds that did not fail.
func put(home reporter.Home, records []*spool.Record, show func([]spool.Output) error) error {
	var built []spool.Output
	for _, r := range records {
		if err := home.Spool().Put(r); err != nil {
			return err
		}
		if r.Type == attestation.Rebuild {
			built = append(built, r.Outputs...)
		}
	}
	return show(built)
}

// printOutputs prints outputs with their digests.
func printOutputs(env *cli.Env, outputs []spool.Output, asJSON bool) error {
	if asJSON {
		type output struct {
			Output string `json:"output"`
			Digest string `json:"digest"`
		}
		list := make([]output, len(outputs))
		for i, o := range outputs {
			list[i] = output{o.Key, o.Digest.String()}
		}
		return cli.JSON(env.Stdout, list)
	}
	for _, o := range outputs {
		if _, err := fmt.Fprintf(env.Stdout, "%s  %s\n", o.Digest, o.Key); err != nil {
			return err
		}
	}
	return nil
}
