package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/internal/durable"
	"repronet.dev/internal/version"
	"repronet.dev/signing"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/policy"
	"repronet.dev/verify/summary"
)

const aboutSummary = `
  Extends the copy of the ledger, judges the output KEY by a policy
  (docs/policy.md), and has your key sign that it is reproduced, if the policy accepts it,
  two operators or more agree, and nobody whom you pinned dissents. Otherwise nothing is
  written. The subject is the output with the digest that it has in the ledger: the
  SHA-256 of a file, or of the NAR of a store path.

  What comes out is a Sigstore bundle of a DSSE envelope, as builders' statements are.
  --verifier is a URI of yours, by which those who believe you know you; --policy-uri
  is where they find the policy. --key is as in 'repronet-reporter init': a PEM file,
  nix:FILE, ssh:FILE, or ssh-agent:NAME.

EXIT STATUS
  0   it is signed
  1   it is diverged
  2   the policy is not met, or evidence cannot be had
  3   the log or evidence in it is invalid: forged, forked, rewritten or cut off
  4   undecided: a newer program is needed
  64  called wrongly

EXAMPLES
  repronet-verify %[1]s /nix/store/…-hello-2.12.1 --policy policy.yaml --key verifier.pem \
      --verifier https://example.org/verifier --out hello.%[1]s.json`

func vsaCommand() cli.Command {
	return summaryCommand("vsa", "sign that an output is reproduced, in SLSA's words",
		"  Makes a Verification Summary (https://slsa.dev/verification_summary/v1) with the level\n  SLSA_BUILD_REPRODUCED.\n", (*summary.Summary).VSA)
}

func svrCommand() cli.Command {
	return summaryCommand("svr", "sign that an output is reproduced, in in-toto's words",
		"  Makes a Simple Verification Result (https://in-toto.io/attestation/svr/v0.2) with the\n  property SLSA_BUILD_REPRODUCED.\n", (*summary.Summary).SVR)
}

func summaryCommand(name, says, about string, write func(*summary.Summary) ([]byte, error)) cli.Command {
	return cli.Command{
		Name: name, Synopsis: "KEY --policy FILE --key REFERENCE --verifier URI [--out FILE] [OPTIONS]",
		Summary: says,
		About:   about + fmt.Sprintf(aboutSummary, name),
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			s := summaryRun{write: write}
			s.declare(flags)
			flags.StringVar(&s.policy, "policy", "", "`file` of the policy")
			flags.StringVar(&s.policyURI, "policy-uri", "", "`URI` at which others find the policy; default: the file's name")
			flags.StringVar(&s.key, "key", "", "`reference` of the key that signs")
			flags.StringVar(&s.verifier, "verifier", "", "`URI` that names you")
			flags.StringVar(&s.ecosystem, "ecosystem", "", "`ecosystem` of the output (default nix or guix for their store paths, else generic)")
			flags.StringVar(&s.out, "out", "", "`file` for the bundle; default: standard output")
			declareMaxAge(flags, &s.maxAge)
			return withStatus(s.run)
		},
	}
}

type summaryRun struct {
	settings
	policy, policyURI, key, verifier, ecosystem, out string

	maxAge time.Duration
	write  func(*summary.Summary) ([]byte, error)
}

func (s *summaryRun) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) != 1:
		return cli.Usagef("want one KEY, got %d", len(args))
	case s.policy == "":
		return cli.Usagef("want --policy FILE: what counts as reproduced? See docs/policy.md")
	case s.key == "" || s.verifier == "":
		return cli.Usagef("want --key and --verifier: who says it?")
	}
	if err := summary.CheckID(s.verifier); err != nil {
		return cli.Usagef("--verifier: %w", err)
	}
	item, err := s.item(args[0])
	if err != nil {
		return err
	}
	rules, p, err := s.rules()
	if err != nil {
		return err
	}
	signer, err := signing.LoadSigner(s.key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	pins, mirror, err := s.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	if err := update(ctx, env, pins, mirror, s.maxAge); err != nil {
		return err
	}
	now := time.Now()
	progress, done := progressLine(env.Stderr)
	report, err := closure.Check(ctx, mirror, pins, p, &closure.List{Items: []closure.Item{{Output: item}}}, now, progress)
	done()
	if err != nil {
		return err
	}
	result := &report.Results[0]
	made, err := summary.New(result.Case.Evidence, &result.Decision, summary.Verifier{ID: s.verifier, Version: version.Get().Version}, rules, now, entryOf(ctx, pins, mirror))
	if errors.Is(err, summary.ErrNotMet) && result.Decision.Finding == verify.Diverged {
		return &cli.ExitError{Status: exitDiverged, Err: err}
	}
	if err != nil {
		return err
	}
	payload, err := s.write(made)
	if err != nil {
		return err
	}
	bundle, err := signer.SignPayload(ctx, payload)
	if err != nil {
		return err
	}
	if s.out != "" {
		return durable.WriteFile(s.out, append(bundle, '\n'), 0o644)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s\n", bundle)
	return err
}

// item is the output that KEY names.
func (s *summaryRun) item(key string) (verify.Output, error) {
	in := s.ecosystem
	if in == "" {
		in = ecosystem.OfKey(key)
	}
	if err := attestation.ValidateOutput(in, key); err != nil {
		return verify.Output{}, cli.Usagef("%w", err)
	}
	return verify.Output{Ecosystem: in, Key: key}, nil
}

// rules reads the policy, and says what it is to others.
func (s *summaryRun) rules() (summary.Resource, *policy.Policy, error) {
	text, err := os.ReadFile(s.policy)
	if errors.Is(err, fs.ErrNotExist) {
		return summary.Resource{}, nil, cli.Usagef("%w", err)
	}
	if err != nil {
		return summary.Resource{}, nil, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return summary.Resource{}, nil, cli.Usagef("%s: %w", s.policy, err)
	}
	uri := s.policyURI
	if uri == "" {
		uri = filepath.Base(s.policy)
	}
	return summary.Of(uri, text), p, nil
}

// entryOf names entries of the mirror by where the aggregator has them, and by what was
// signed.
func entryOf(ctx context.Context, pins *verify.Pins, mirror *verify.Mirror) func(uint64) (summary.Resource, error) {
	tree := mirror.Tree()
	base := "tag:repronet.dev,2026:entry:" + tree.Origin() + ":" // of what only a multiaddr leads to
	if len(pins.Aggregators) > 0 && strings.HasPrefix(pins.Aggregators[0], "http") {
		base = strings.TrimSuffix(pins.Aggregators[0], "/") + api.EntriesPath + "/"
	}
	return func(index uint64) (summary.Resource, error) {
		record, err := tree.Record(ctx, index)
		if err != nil {
			return summary.Resource{}, err
		}
		entry, err := record.Entry()
		if err != nil {
			return summary.Resource{}, fmt.Errorf("ledger index %d: %w", index, err)
		}
		return summary.Of(base+strconv.FormatUint(index, 10), entry.Body), nil
	}
}
