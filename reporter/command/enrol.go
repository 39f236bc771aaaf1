package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"repronet.dev/api"
	"repronet.dev/enrolment/request"
	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submit"
	"repronet.dev/signing/keyless"
)

// enrolling are the flags of enrol.
type enrolling struct {
	asking          reporter.Asking
	identity        string
	statement, wait bool
	asJSON          bool
}

func enrolCommand() cli.Command {
	return cli.Command{
		Name:     "enrol",
		Synopsis: "[--operator NAME] [--contact TEXT] [--identity FILE] [--wait] [OPTIONS]",
		Summary:  "ask the aggregator to accept this builder's statements",
		About: `  Sends a request that the builder's key signs. It proves that you hold the key,
  and is worth nothing to another aggregator. A person decides, and you need not
  write to them; what you record meanwhile waits in the spool. Calling it again
  tells how it stands, or changes what you said.

  Operator and contact are published with the enrolment, and the contact can be
  erased. Machines of one party give one operator: a party counts once.

  If you have an account at GitHub, GitLab or Google, or an e-mail address, some
  aggregators enrol you at once. Have the identity sign the request, for which any
  Sigstore client serves, and send what comes of it:
    repronet-reporter enrol --statement > request.json
    cosign attest-blob --statement request.json --bundle identity.json
    repronet-reporter enrol --identity identity.json
  Where there is an identity token (see 'init'), --identity sigstore:FILE does it in
  one step; the file is the signing_config.json of a Sigstore deployment.
  The identity's address becomes public: in the transparency log of Sigstore, where
  nobody can erase it, and with the enrolment.

EXIT STATUS
  0   the builder is enrolled, or the request waits for a decision
  1   the request was refused
  64  the command was called wrongly
  75  the aggregator could not be reached, or is busy; try again later

EXAMPLES
  repronet-reporter enrol --operator alice --contact alice@example.org
  repronet-reporter enrol --wait && repronet-reporter run`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			dir := dirFlag(flags)
			var e enrolling
			flags.StringVar(&e.asking.Operator, "operator", "", "your wanted `name` as an operator (a-z, 0-9, -); default: that of 'init'")
			flags.StringVar(&e.asking.Contact, "contact", "", "how people can reach you, in one line of `text`; it is published")
			flags.StringVar(&e.identity, "identity", "", "a Sigstore bundle `file` in which your identity signed what --statement printed,\nor sigstore:FILE to have it sign now")
			flags.BoolVar(&e.statement, "statement", false, "print the request for an identity to sign, and send nothing")
			flags.BoolVar(&e.wait, "wait", false, "wait until the aggregator's operator decided")
			flags.BoolVar(&e.asJSON, "json", false, "print one JSON object")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				if err := e.check(); err != nil {
					return err
				}
				desk, err := openDesk(ctx, dir)
				if err != nil {
					return err
				}
				defer desk.Close()
				return e.run(ctx, env, desk)
			}
		},
	}
}

func (e *enrolling) check() error {
	signed := e.identity != "" && !keyless.IsReference(e.identity)
	if e.identity != "" && e.statement || signed && e.asking != (reporter.Asking{}) {
		return cli.Usagef("--identity sends the request that was signed: give --operator and --contact with --statement")
	}
	if e.asking.Operator != "" {
		if err := request.ValidateOperator(e.asking.Operator); err != nil {
			return cli.Usagef("--operator: %w", err)
		}
	}
	return nil
}

func (e *enrolling) run(ctx context.Context, env *cli.Env, desk *reporter.Desk) error {
	if e.statement {
		payload, err := desk.Statement(e.asking)
		if err != nil {
			return err
		}
		_, err = env.Stdout.Write(payload)
		return err
	}
	answer, err := e.ask(ctx, desk)
	if err == nil && e.wait && answer.State == api.Pending {
		fmt.Fprintln(env.Stderr, "the request waits for a decision")
		answer, err = waitForDecision(ctx, desk)
	}
	if err != nil {
		return askError(err)
	}
	if err := printEnrolment(env.Stdout, answer, e.asJSON); err != nil {
		return err
	}
	if answer.State == api.Refused {
		return cli.Exit(1)
	}
	return nil
}

func (e *enrolling) ask(ctx context.Context, desk *reporter.Desk) (*api.Enrolment, error) {
	if e.identity == "" {
		return desk.Ask(ctx, e.asking)
	}
	if keyless.IsReference(e.identity) {
		bundle, err := e.identify(ctx, desk)
		if err != nil {
			return nil, err
		}
		return desk.AskAs(ctx, bundle)
	}
	f, err := os.Open(e.identity)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bundle, err := io.ReadAll(io.LimitReader(f, request.MaxSize))
	if err != nil {
		return nil, err
	}
	return desk.AskAs(ctx, bundle)
}

// identify has the identity whose token is there sign the request.
func (e *enrolling) identify(ctx context.Context, desk *reporter.Desk) (bundle []byte, err error) {
	payload, err := desk.Statement(e.asking)
	if err != nil {
		return nil, err
	}
	signer, err := keyless.Load(e.identity, &http.Client{Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	return signer.SignPayload(ctx, payload)
}

// openDesk opens what asks the aggregator for a builder. The caller closes it.
func openDesk(ctx context.Context, dir func() (reporter.Home, error)) (*reporter.Desk, error) {
	home, err := dir()
	if err != nil {
		return nil, err
	}
	desk, err := home.NewDesk(ctx)
	if err != nil {
		return nil, askError(err)
	}
	return desk, nil
}

// askError gives an error of asking its exit status: who could not be reached, or
// has no time, is asked again later.
func askError(err error) error {
	if problem, answered := errors.AsType[*api.Problem](err); answered {
		if problem.Permanent() {
			return fmt.Errorf("the aggregator refused: %s", problem.Detail)
		}
		return &cli.ExitError{Status: exitTryLater, Err: errors.New(problem.Detail)}
	}
	_, unreachable := errors.AsType[*url.Error](err)
	_, undelivered := errors.AsType[*submit.RetryError](err)
	if unreachable || undelivered || errors.Is(err, spool.ErrLocked) {
		return &cli.ExitError{Status: exitTryLater, Err: err}
	}
	return err
}

// pollInterval is how often --wait asks.
const pollInterval = 5 * time.Second

// waitForDecision asks until there is an answer, however long the aggregator
// cannot be reached meanwhile.
func waitForDecision(ctx context.Context, desk *reporter.Desk) (*api.Enrolment, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
		answer, err := desk.State(ctx)
		if problem, answered := errors.AsType[*api.Problem](err); answered && problem.Status == http.StatusNotFound {
			return nil, err
		}
		if err == nil && answer.State != api.Pending {
			return answer, nil
		}
	}
}

func printEnrolment(w io.Writer, e *api.Enrolment, asJSON bool) error {
	var index *uint64
	if e.Receipt != nil {
		index = &e.Receipt.Index
	}
	if asJSON {
		shown := *e
		shown.Receipt = nil // long, and verified
		return cli.JSON(w, struct {
			api.Enrolment `json:",inline"`
			Index         *uint64 `json:"index,omitempty"`
		}{shown, index})
	}
	fmt.Fprintf(w, "Builder   %s\nState     %s\n", e.Builder, e.State)
	if e.Operator != "" {
		fmt.Fprintf(w, "Operator  %s, tier %s\n", e.Operator, e.Tier)
	}
	if index != nil {
		fmt.Fprintf(w, "Entry     %d of the ledger\n", *index)
	}
	_, err := fmt.Fprintln(w, e.Next)
	return err
}
