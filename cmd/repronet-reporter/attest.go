package main

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

	"repronet/attestation"
	"repronet/internal/cli"
	"repronet/reporter"
	"repronet/reporter/collect"
	"repronet/reporter/spool"
)

// A build is what the flags of attest and exec say.
type build struct {
	ecosystem, name string
	outputs, traits []string
	rebuild         bool
}

func buildFlags(flags *flag.FlagSet) *build {
	b := &build{}
	flags.StringVar(&b.ecosystem, "ecosystem", "generic", "the `ecosystem` that the build's name belongs to")
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
	if b.ecosystem == "generic" && !strings.Contains(b.name, "/") {
		if c.Operator == "" {
			return cli.Usagef("--build %s: a generic build is named OPERATOR/NAME; set your own operator's name with 'repronet-reporter init --operator NAME'", b.name)
		}
		b.name = c.Operator + "/" + b.name
	}
	if err := attestation.ValidateBuild(b.ecosystem, b.name); err != nil {
		return cli.Usagef("%w", err)
	}
	for _, output := range b.outputs {
		name, _, _ := strings.Cut(output, "=")
		if err := attestation.ValidateOutput(b.ecosystem, attestation.OutputKey(b.name, name)); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	return nil
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
		digest, kind, err := collect.Digest(path)
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
		r.Outputs = append(r.Outputs, spool.Output{Key: attestation.OutputKey(b.name, name), Digest: digest})
	}
	return records, nil
}

// failed is the record of a build that ended without its outputs.
func (b *build) failed(started, finished time.Time, failure string) (*spool.Record, error) {
	r := b.record(finished)
	r.Type, r.DigestKind, r.Failure = attestation.BuildFailed, attestation.File, failure
	r.Started = started.UTC().Truncate(time.Second)
	for _, output := range b.outputs {
		name, _, _ := strings.Cut(output, "=")
		r.Outputs = append(r.Outputs, spool.Output{Key: attestation.OutputKey(b.name, name)})
	}
	r.Recipe = sha256.Sum256([]byte(b.name))
	if b.ecosystem == "nix" {
		text, err := os.ReadFile(b.name)
		if err != nil {
			return nil, fmt.Errorf("reading the recipe: %w", err)
		}
		r.Recipe = sha256.Sum256(text)
	}
	return r, nil
}

func attestCommand() cli.Command {
	return cli.Command{
		Name:     "attest",
		Synopsis: "--build NAME --output NAME=PATH … [OPTIONS]",
		Summary:  "record a build that was made by other means",
		About: `  Hashes what a build made and records it in the spool; 'run' submits it. A
  file's digest is the SHA-256 of its bytes, a directory's that of its NAR
  serialisation, which is what 'nix-hash --type sha256 DIRECTORY' prints.

  A generic build is named OPERATOR/NAME by whoever defined it: everybody who
  builds the same thing gives the same name. Without an OPERATOR/ your own is put
  before it.

EXIT STATUS
  0   recorded
  1   an output could not be read, or the record not be written
  64  the command was called wrongly

EXAMPLES
  repronet-reporter attest --build alice/hello-1.0 --output bin=./hello
  repronet-reporter attest --ecosystem go --build golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64 \
      --output zip=go1.26.8.zip --trait go=go1.26.8`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			b := buildFlags(flags)
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
				return put(home, env, records)
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

func put(home reporter.Home, env *cli.Env, records []*spool.Record) error {
	for _, r := range records {
		if err := home.Spool().Put(r); err != nil {
			return err
		}
		for _, output := range r.Outputs {
			if r.Type == attestation.Rebuild {
				fmt.Fprintf(env.Stdout, "%s  %s\n", output.Digest, output.Key)
			}
		}
	}
	return nil
}
