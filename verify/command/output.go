package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ecosystem"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
	"repronet.dev/verify"
)

func output() cli.Command {
	return cli.Command{
		Name: "output", Synopsis: "KEY [--digest DIGEST | --path PATH] [--quorum N] [OPTIONS]",
		Summary: "say whether an output is reproduced",
		About: `  Extends the copy of the ledger, finds every statement about the output KEY in
  it, and judges those of pinned builders. KEY is a store path, or
  <build>^<output>, or <project>/<file name>.

  The output is reproduced if at least N operators got the same digest and none
  another one. Several keys of one operator count once. Statements that their
  builder withdrew, or made after its key was revoked, do not count. With
  --digest or --path, the digest must be that of the operators, too; --path
  hashes what is there as the statements did: a file's bytes, or the NAR of a
  store path or directory.

  With --light the ledger is not copied: the aggregator shows by a verifiable map
  which entries are about KEY, and only those and what came after the map are
  fetched. Everything is checked as always, but that the map leaves nothing out is
  for those who have a copy to audit (repronet-verify replay); a wrong map convicts
  the one who committed to it.

  If the newest state of the ledger (with --light: its newest map) is older than
  --max-age, there is no answer: what was said since may be held back.
` + exitStatuses + `

EXAMPLES
  repronet-verify output /nix/store/4i0k…-hello-2.12.1 --quorum 3
  repronet-verify output alice/hello-1.0^bin --path ./hello
  repronet-verify output /nix/store/4i0k…-hello-2.12.1 --light
  repronet-verify output /nix/store/4i0k…-hello-2.12.1 --json | jq .digests`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var o outputCommand
			o.declare(flags)
			flags.StringVar(&o.digest, "digest", "", "the `digest` that you have: hexadecimal, SRI or Nix's base 32")
			flags.StringVar(&o.path, "path", "", "the file or directory that you have; its digest is computed from this `path`")
			flags.IntVar(&o.quorum, "quorum", 2, "how many operators must agree, as a `number`")
			flags.StringVar(&o.ecosystem, "ecosystem", "", "`ecosystem` of the output (default nix or guix for their store paths, else generic)")
			flags.BoolVar(&o.light, "light", false, "ask for this output alone, and keep no copy of the ledger")
			flags.BoolVar(&o.tell, "tell", false, "with --light, tell the aggregator which output is meant")
			flags.IntVar(&o.bits, "bits", 20, "with --light, `how many` bits of the output's ID are told: 12, 16 or 20")
			declareMaxAge(flags, &o.maxAge)
			flags.BoolVar(&o.json, "json", false, "print a JSON document")
			return withStatus(o.run)
		},
	}
}

type outputCommand struct {
	settings
	digest, path, ecosystem string
	quorum                  int
	light, tell             bool
	bits                    int // of the ID, see verify.Light
	maxAge                  time.Duration
	json                    bool
}

func (o *outputCommand) run(ctx context.Context, env *cli.Env, args []string) (err error) {
	switch {
	case len(args) != 1:
		return cli.Usagef("want one KEY, got %d", len(args))
	case o.digest != "" && o.path != "":
		return cli.Usagef("--digest and --path exclude each other")
	case o.quorum < 1:
		return cli.Usagef("--quorum %d: at least one operator has to speak", o.quorum)
	case o.tell && !o.light:
		return cli.Usagef("--tell is for --light: without that, nothing is told to anybody")
	case o.bits != 12 && o.bits != 16 && o.bits != 20:
		return cli.Usagef("--bits %d: want 12, 16 or 20", o.bits)
	}
	key, in := args[0], o.ecosystem
	if in == "" {
		in = ecosystem.OfKey(key)
	}
	if err := attestation.ValidateEcosystem(in); err != nil {
		return cli.Usagef("--ecosystem: %w", err)
	}
	if err := attestation.ValidateOutput(in, key); err != nil {
		if o.ecosystem == "" {
			err = fmt.Errorf("%w (taken as %s: is it of another --ecosystem?)", err, in)
		}
		return cli.Usagef("%w", err)
	}
	var given *attestation.Digest
	if o.digest != "" {
		digest, err := attestation.ParseAnyDigest(o.digest)
		if err != nil {
			return cli.Usagef("--digest: %w", err)
		}
		given = &digest
	}
	evidence, err := o.evidence(ctx, env, in, key)
	if err != nil {
		return err
	}
	if o.path != "" {
		if given, err = hashAs(evidence, o.path); err != nil {
			return err
		}
	}
	r := newResult(evidence, evidence.Decide(o.quorum, given), o.quorum, given)
	if o.json {
		err = cli.JSON(env.Stdout, r)
	} else {
		r.print(env.Stdout)
	}
	if err != nil {
		return err
	}
	return r.status()
}

// evidence collects what the ledger holds on the output.
func (o *outputCommand) evidence(ctx context.Context, env *cli.Env, ecosystem, key string) (_ *verify.Evidence, err error) {
	if o.light {
		return o.askLight(ctx, ecosystem, key)
	}
	pins, mirror, err := o.open(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mirror.Close()) }()
	if err := update(ctx, env, pins, mirror, o.maxAge); err != nil {
		return nil, err
	}
	return mirror.Evidence(ctx, pins, ecosystem, key)
}

// hashAs hashes a path as the claims that count did. Without any, there is
// nothing to compare with.
func hashAs(evidence *verify.Evidence, path string) (*attestation.Digest, error) {
	kind, err := evidence.DigestKind()
	switch {
	case errors.Is(err, verify.ErrNoKind) && len(evidence.Digests()) == 0:
		return nil, nil
	case err != nil:
		return nil, err
	}
	digest, err := verify.HashPath(path, kind)
	return &digest, err
}

// result is what output prints; its JSON form is for other programs.
type result struct {
	Output    string         `json:"output"`
	Ecosystem string         `json:"ecosystem"`
	Decision  verify.Finding `json:"decision"`
	Quorum    int            `json:"quorum"`
	Given     string         `json:"given,omitempty"` // digest that was asked about
	Verdict   string         `json:"verdict"`
	Shape     string         `json:"shape,omitempty"` // of a divergence
	Operators int            `json:"operators"`
	Digests   []position     `json:"digests"`
	Claims    []claim        `json:"claims"`
	// Unpinned are builders that spoke, too, and are not pinned.
	Unpinned []signing.BuilderID `json:"unpinned"`
	Searched searched            `json:"searched"`
}

type position struct {
	Digest    string                 `json:"digest"`
	Kind      attestation.DigestKind `json:"kind"`
	Operators []string               `json:"operators"`
}

type claim struct {
	Index      uint64            `json:"index"`
	ReceivedAt time.Time         `json:"receivedAt"`
	Builder    signing.BuilderID `json:"builder"`
	Operator   string            `json:"operator"`
	Digest     string            `json:"digest"`
	Standing   verify.Standing   `json:"standing"`
	// RevokedAt is the ledger index of the revocation, of one that is revoked.
	RevokedAt *uint64 `json:"revokedAt,omitempty"`
}

// searched says in what the evidence was looked for.
type searched struct {
	Entries uint64    `json:"entries"`
	Latest  time.Time `json:"latest,omitzero"`
}

func newResult(e *verify.Evidence, decision verify.Finding, quorum int, given *attestation.Digest) *result {
	r := &result{
		Output: e.Output, Ecosystem: e.Ecosystem, Decision: decision, Quorum: quorum,
		Verdict: e.Judgement.Verdict.String(), Operators: e.Judgement.Operators,
		Digests: []position{}, Claims: []claim{}, Unpinned: append([]signing.BuilderID{}, e.Unpinned...),
		Searched: searched{e.Size, e.LatestEntry},
	}
	if given != nil {
		r.Given = given.String()
	}
	if e.Judgement.Shape != divergence.NoShape {
		r.Shape = e.Judgement.Shape.String()
	}
	for _, p := range e.Digests() {
		r.Digests = append(r.Digests, position{p.Digest.String(), p.Kind, p.Operators})
	}
	for i := range e.Claims {
		r.Claims = append(r.Claims, newClaim(&e.Claims[i]))
	}
	return r
}

func newClaim(c *verify.Claim) claim {
	shown := claim{c.Index, c.ReceivedAt, c.Builder, c.Operator, c.Digest.String(), c.Standing, nil}
	if c.Standing == verify.Revoked {
		shown.RevokedAt = &c.RevokedAt
	}
	return shown
}

func (r *result) print(w io.Writer) {
	switch r.Decision {
	case verify.Accepted:
		fmt.Fprintf(w, "reproduced: %s by %s\n", r.Output, operators(r.Operators))
	case verify.Diverged:
		fmt.Fprintf(w, "diverged (%s): %s has %d digests of %s\n", r.Shape, r.Output, len(r.Digests), operators(r.Operators))
	case verify.Mismatch:
		fmt.Fprintf(w, "mismatch: %s is reproduced by %s, but not as %s\n", r.Output, operators(r.Operators), r.Given)
	case verify.Insufficient:
		fmt.Fprintf(w, "not enough evidence: %s has claims of %s that you pinned, %d are asked for\n", r.Output, operators(r.Operators), r.Quorum)
	}
	for _, d := range r.Digests {
		fmt.Fprintf(w, "  %s (%s)  %s\n", d.Digest, d.Kind, strings.Join(d.Operators, ", "))
	}
	for _, c := range r.Claims {
		if c.Standing != verify.Counts {
			fmt.Fprintf(w, "  does not count (%s): %s by %s, ledger index %d\n", c.Standing, c.Digest, c.Operator, c.Index)
			if c.RevokedAt != nil && *c.RevokedAt > c.Index {
				fmt.Fprintf(w, "    it counted until the back-dated revocation at ledger index %d\n", *c.RevokedAt)
			}
		}
	}
	if n := len(r.Unpinned); n > 0 {
		fmt.Fprintf(w, "  %d of the builders that spoke are not pinned, and were not asked\n", n)
	}
	if r.Searched.Entries > 0 {
		fmt.Fprintf(w, "searched %d ledger entries, the last of %s\n", r.Searched.Entries, r.Searched.Latest.Format(time.RFC3339))
	} else {
		fmt.Fprintln(w, "the ledger is empty")
	}
}

func operators(n int) string {
	if n == 1 {
		return "1 operator"
	}
	return fmt.Sprintf("%d operators", n)
}

func (r *result) status() error {
	switch r.Decision {
	case verify.Accepted:
		return nil
	case verify.Diverged, verify.Mismatch:
		return cli.Exit(exitDiverged)
	case verify.Insufficient:
		return cli.Exit(exitInsufficient)
	}
	return cli.Exit(exitInvalid)
}
