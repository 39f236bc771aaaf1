package command

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"repronet.dev/enrolment"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
	"repronet.dev/verify"
)

func pin() cli.Command {
	return cli.Command{
		Name: "pin", Synopsis: "--aggregator URL [--yes] | [--aggregator URL] [--log-key KEY] [--builder FILE.pem --operator NAME] [--witness KEY]…",
		Summary: "say whom to believe",
		About: `  Writes down the key of the ledger and the keys of builders, each with the
  operator behind it. Nothing else is ever believed.

  With --aggregator alone, the aggregator is asked for the key of its ledger and
  for its builders, and after your confirmation they are pinned: TRUST ON FIRST
  USE. If it lies now, you believe the lie. Compare the keys with a source that
  the aggregator's operator does not control: the builders' own pages, people you
  know, another aggregator. What is pinned stays: a later answer adds builders
  after confirmation, and changes none without it; another log key is refused.

  A --witness is somebody who cosigns the states of the ledger as they grow, and no
  two that exclude each other (repronet-verify witness). If some are pinned, no
  state is believed that fewer than --witness-quorum of them cosigned: then nobody
  can show you another history than everybody else. Ask them for their keys, not
  the aggregator.

  With --log-key, --builder or --witness, nobody is asked and only what is given is
  pinned. URL may be a libp2p multiaddr. KEY is as golang.org/x/mod/sumdb/note writes it:
  name+hash+key.

  The list of builders must be what the ledger's enrolments and revocations come to,
  and no older than what was seen of the ledger before: so nobody is slipped in, and
  no revocation is kept from you. A builder that was revoked is pinned with the ledger
  index up to which it counts: what it said before goes on to count.

EXIT STATUS
  0   pinned
  2   nothing was pinned
  3   nothing was pinned: the log is invalid, or the list is not the one of the ledger
  64  called wrongly

EXAMPLES
  repronet-verify pin --aggregator https://repro.example.org
  repronet-verify pin --builder carol.pem --operator carol
  repronet-verify pin --witness witness.example.org+a3c5e1f0+BK…`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var p pinCommand
			p.declare(flags)
			flags.StringVar(&p.aggregator, "aggregator", "", "`url` or multiaddr of an aggregator")
			flags.StringVar(&p.logKey, "log-key", "", "`key` of the ledger")
			flags.StringVar(&p.builder, "builder", "", "`file` with a builder's public key (PEM)")
			flags.StringVar(&p.operator, "operator", "", "`name` of the operator behind that builder")
			flags.Func("witness", "`key` of a witness of the ledger; may be given several times", func(key string) error {
				p.witnesses = append(p.witnesses, key)
				return nil
			})
			flags.IntVar(&p.quorum, "witness-quorum", 0, "how many of the pinned witnesses must have cosigned, as a `number` (default a majority)")
			flags.BoolVar(&p.yes, "yes", false, "pin without asking")
			flags.BoolVar(&p.json, "json", false, "print all that is pinned now as a JSON document")
			return withStatus(p.run)
		},
	}
}

type pinCommand struct {
	settings
	aggregator, logKey, builder, operator string
	yes, json                             bool
	witnesses                             []string
	quorum                                int
}

// fixed reports whether the command line says what to pin.
func (p *pinCommand) fixed() bool {
	return p.logKey != "" || p.builder != "" || len(p.witnesses) > 0 || p.quorum != 0
}

func (p *pinCommand) run(ctx context.Context, env *cli.Env, args []string) error {
	switch {
	case len(args) > 0:
		return cli.Usagef("unexpected argument %q", args[0])
	case p.aggregator == "" && !p.fixed():
		return cli.Usagef("want --aggregator, --log-key, --builder or --witness")
	case (p.builder == "") != (p.operator == ""):
		return cli.Usagef("--builder and --operator belong together")
	}
	path, err := p.configPath()
	if err != nil {
		return err
	}
	pins, err := verify.LoadOrNewPins(path)
	if err != nil {
		return err
	}
	if p.fixed() {
		err = p.given(pins)
	} else {
		err = p.ask(ctx, env, pins)
	}
	if err != nil {
		return err
	}
	if p.aggregator != "" {
		pins.PinAggregator(p.aggregator)
	}
	if err := pins.Save(path); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "pinned in %s\n", path)
	if !p.json {
		return nil
	}
	return cli.JSON(env.Stdout, struct {
		Config string `json:"config"` // file
		*verify.Pins
	}{path, pins})
}

// given pins what the command line says.
func (p *pinCommand) given(pins *verify.Pins) error {
	if p.aggregator != "" {
		if _, err := verify.Dial(p.aggregator); err != nil {
			return cli.Usagef("%w", err)
		}
	}
	if p.logKey != "" {
		if err := pins.PinLogKey(p.logKey); errors.Is(err, verify.ErrLogKey) {
			return err
		} else if err != nil {
			return cli.Usagef("%w", err)
		}
	}
	for _, key := range p.witnesses {
		if err := pins.PinWitness(key); err != nil {
			return cli.Usagef("--witness: %w", err)
		}
	}
	if p.quorum != 0 {
		if p.quorum < 1 || p.quorum > len(pins.Witnesses) {
			return cli.Usagef("--witness-quorum %d: %d witnesses are pinned", p.quorum, len(pins.Witnesses))
		}
		pins.WitnessQuorum = p.quorum
	}
	if p.builder == "" {
		return nil
	}
	if err := enrolment.ValidateOperator(p.operator); err != nil {
		return cli.Usagef("--operator: %w", err)
	}
	text, err := os.ReadFile(p.builder)
	if err != nil {
		return err
	}
	key, err := signing.ParsePublicKey(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.builder, err)
	}
	pins.Pin(verify.NewBuilder(key, p.operator))
	return nil
}

// ask pins what the aggregator says, if the user agrees.
func (p *pinCommand) ask(ctx context.Context, env *cli.Env, pins *verify.Pins) error {
	aggregator, err := verify.Dial(p.aggregator)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	key, err := aggregator.LogKey(ctx)
	if err != nil {
		return err
	}
	fresh := pins.LogKey == ""
	if err := pins.PinLogKey(key); err != nil {
		return err
	}
	builders, err := p.builders(ctx, aggregator, pins)
	if err != nil {
		return err
	}
	known := slices.Clone(pins.Builders)
	fmt.Fprintf(env.Stderr, "%s says, and nothing else vouches for it:\n\nlog key%s\n  %s\n\nbuilders\n", p.aggregator, mark(!fresh, ""), key)
	for _, b := range builders {
		i := slices.IndexFunc(known, func(k verify.Builder) bool { return k.ID == b.ID })
		changed := ""
		if i >= 0 && (known[i].Operator != b.Operator || !known[i].Keyless.Same(b.Keyless) || !known[i].NotBefore.Equal(b.NotBefore) || !known[i].NotAfter.Equal(b.NotAfter)) {
			changed = fmt.Sprintf("CHANGES the pin of operator %s", known[i].Operator)
		}
		fmt.Fprintf(env.Stderr, "  %s  %s%s\n", b.ID, b.Operator, mark(i >= 0, changed))
		if k := b.Keyless; k != nil {
			fmt.Fprintf(env.Stderr, "    by the identity %s of %s, under a trusted root with SHA-256 %x\n", k.Subject, k.Issuer, sha256.Sum256(k.TrustedRoot))
		}
		if b.RevokedFrom != nil {
			fmt.Fprintf(env.Stderr, "    revoked: it counts up to ledger index %d\n", *b.RevokedFrom)
		}
		pins.Pin(b)
	}
	if len(builders) == 0 {
		fmt.Fprintln(env.Stderr, "  none yet: nothing will count until you pin some")
	}
	fmt.Fprintf(env.Stderr, "\nFrom now on you believe that these keys are who they are said to be. Compare them\nwith another source if you can.\n")
	return p.confirm(env)
}

// builders returns the builders that the aggregator lists, which must be those of its
// ledger, and that no older than was seen.
func (p *pinCommand) builders(ctx context.Context, aggregator *verify.Aggregator, pins *verify.Pins) ([]verify.Builder, error) {
	key, err := pins.Verifier()
	if err != nil {
		return nil, err
	}
	dir, err := p.mirrorDir(key)
	if err != nil {
		return nil, err
	}
	list, err := aggregator.BuilderList(ctx, key)
	if err != nil {
		return nil, err
	}
	light := verify.Light{Aggregator: aggregator, Pins: pins, State: dir}
	if err := light.CheckBuilders(ctx, list); err != nil {
		return nil, err
	}
	return aggregator.Builders(ctx, list)
}

// mark says whether something is pinned already.
func mark(pinned bool, changed string) string {
	switch {
	case changed != "":
		return "  (" + changed + ")"
	case pinned:
		return "  (pinned already)"
	default:
		return ""
	}
}

func (p *pinCommand) confirm(env *cli.Env) error {
	if p.yes {
		return nil
	}
	yes, err := cli.Ask(env, "Pin them?")
	switch {
	case err != nil:
		return fmt.Errorf("nothing was pinned: %w; if you agree, call this with --yes", err)
	case !yes:
		return errors.New("nothing was pinned")
	}
	return nil
}
