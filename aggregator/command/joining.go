package command

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"repronet/aggregator/admin"
	"repronet/enrolment"
	"repronet/internal/cli"
	"repronet/signing"
)

func pendingBuilders() cli.Command {
	return cli.Command{
		Name: "builders pending", Synopsis: "[OPTIONS]", Summary: "list the builders that ask to be enrolled",
		About: `  Lists the requests that wait for a decision, oldest first. Each sender is
  proven to hold the key; operator and contact are what they say of themselves.
  An operator marked (known) has builders already: whether the new key is theirs
  is for you to find out. A request is forgotten after 30 days.

EXAMPLES
  repronet-aggregator builders pending
  repronet-aggregator builders pending --json | jq -r '.[].builder'`,
		Prepare: listing[admin.Pending]{
			fetch:  admin.Service.Pending,
			header: []string{"BUILDER", "OPERATOR", "IDENTITY", "ASKED", "CONTACT"},
			row: func(p admin.Pending) []string {
				operator := dash(p.Operator)
				if p.OperatorKnown {
					operator += " (known)"
				}
				return []string{string(p.Builder), operator, dash(p.Identity), p.Received.Format(time.RFC3339), dash(p.Contact)}
			},
		}.prepare,
	}
}

func approve() cli.Command {
	return cli.Command{
		Name: "builders approve", Synopsis: "BUILDER [--operator NAME] [--tier TIER] [OPTIONS]", Summary: "enrol a builder that asked for it",
		About: `  Enrols the builder of a request that waits, by default for the operator that it
  asked for and in tier counted. Ask yourself who is behind it: operators are what
  agreement is counted in, and one party under two names agrees with itself.

  A builder of an operator that has builders already is only enrolled if
  --operator says so: anybody can ask under anybody's name.

EXAMPLES
  repronet-aggregator builders approve n5w…
  repronet-aggregator builders approve n5w… --operator alice --tier open`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			operator := flags.String("operator", "", "`name` of the party behind the builder, in place of what it asked for")
			tier := flags.String("tier", string(enrolment.Counted), "`tier`: counted (moves verdicts) or open (shown only)")
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				id, err := builderArgument(flags, args)
				if err != nil {
					return err
				}
				return s.administer(ctx, env, func(service admin.Service) error {
					index, operator, err := service.Approve(ctx, admin.Approval{Builder: id, Operator: *operator, Tier: enrolment.Tier(*tier)})
					if err != nil {
						return err
					}
					fmt.Fprintf(env.Stderr, "enrolled builder %s of operator %s, tier %s, at ledger index %d\n", id, operator, *tier, index)
					if *asJSON {
						return printJSON(env.Stdout, map[string]any{"builder": id, "operator": operator, "tier": *tier, "index": index})
					}
					return nil
				})
			}
		},
	}
}

func reject() cli.Command {
	return cli.Command{
		Name: "builders reject", Synopsis: "BUILDER --reason TEXT [OPTIONS]", Summary: "refuse a builder that asked to be enrolled",
		About: `  The builder's reporter is told the reason, now and if it asks again within 30
  days. Nothing of it is published. 'builders approve' can change your mind.

EXAMPLES
  repronet-aggregator builders reject n5w… --reason 'write to us first: repro@example.org'`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			reason := flags.String("reason", "", "`text` that the sender is told, at most 200 bytes")
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				id, err := builderArgument(flags, args)
				if err != nil {
					return err
				}
				if strings.TrimSpace(*reason) == "" || len(*reason) > 200 {
					return cli.Usagef("want --reason TEXT of at most 200 bytes")
				}
				return s.administer(ctx, env, func(service admin.Service) error {
					if err := service.Reject(ctx, id, *reason); err != nil {
						return err
					}
					fmt.Fprintf(env.Stderr, "refused builder %s\n", id)
					if *asJSON {
						return printJSON(env.Stdout, map[string]any{"builder": id, "reason": *reason})
					}
					return nil
				})
			}
		},
	}
}

func vouch() cli.Command {
	return cli.Command{
		Name: "builders vouch", Synopsis: "(BUILDER | OPERATOR) [OPTIONS]", Summary: "let an operator's builders move verdicts",
		About: `  Moves all builders of an operator that are not revoked from tier open to tier
  counted: from then on what they say, and what they said, moves verdicts. It
  concerns the whole operator, also where you name one builder; keys that the same
  identity brings later are counted at once.

EXAMPLES
  repronet-aggregator builders vouch id-6nq5…`,
		Prepare: func(flags *flag.FlagSet) func(context.Context, *cli.Env, []string) error {
			var s settings
			s.declareData(flags)
			asJSON := flags.Bool("json", false, "print JSON")
			return func(ctx context.Context, env *cli.Env, args []string) error {
				if len(args) > 1 {
					if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
						return cli.Usagef("want one BUILDER or OPERATOR, then options")
					}
				}
				if len(args) == 0 {
					return cli.Usagef("want BUILDER or OPERATOR")
				}
				return s.administer(ctx, env, func(service admin.Service) error {
					moved, operator, err := service.Vouch(ctx, args[0])
					if err != nil {
						return err
					}
					fmt.Fprintf(env.Stderr, "operator %s is counted; %d builders moved\n", operator, len(moved))
					if *asJSON {
						return printJSON(env.Stdout, map[string]any{"operator": operator, "moved": append([]signing.BuilderID{}, moved...)})
					}
					return nil
				})
			}
		},
	}
}
