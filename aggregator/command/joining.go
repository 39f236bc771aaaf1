package command

import (
	"flag"
	"strings"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/enrolment"
	"repronet.dev/internal/cli"
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
		Prepare: administrative[admin.None, []admin.Pending]{
			call: admin.ListPending, ask: nothing,
			show: func(env *cli.Env, out *output, pending []admin.Pending) error {
				rows := make([][]string, len(pending))
				for i, p := range pending {
					operator := dash(p.Operator)
					if p.OperatorKnown {
						operator += " (known)"
					}
					rows[i] = []string{string(p.Builder), operator, dash(p.Identity), p.Received.Format(time.RFC3339), dash(p.Contact)}
				}
				return out.table(env, pending, []string{"BUILDER", "OPERATOR", "IDENTITY", "ASKED", "CONTACT"}, rows)
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
		Prepare: administrative[admin.Approval, admin.Approved]{
			call: admin.Approve,
			ask: func(flags *flag.FlagSet) func([]string) (admin.Approval, error) {
				operator := flags.String("operator", "", "`name` of the party behind the builder, in place of what it asked for")
				tier := flags.String("tier", string(enrolment.Counted), "`tier`: counted (moves verdicts) or open (shown only)")
				return func(args []string) (admin.Approval, error) {
					if len(args) != 1 {
						return admin.Approval{}, cli.Usagef("want one BUILDER")
					}
					return admin.Approval{Builder: args[0], Operator: *operator, Tier: enrolment.Tier(*tier)}, nil
				}
			},
			show: func(env *cli.Env, out *output, a admin.Approved) error {
				return out.say(env, a, "enrolled builder %s of operator %s, tier %s, at ledger index %d", a.Builder, a.Operator, a.Tier, a.Index)
			},
		}.prepare,
	}
}

func reject() cli.Command {
	return cli.Command{
		Name: "builders reject", Synopsis: "(BUILDER | --all-older-than TIME) --reason TEXT [OPTIONS]", Summary: "refuse builders that asked to be enrolled",
		About: `  The builder's reporter is told the reason, now and if it asks again within 30
  days. Nothing of it is published. 'builders approve' can change your mind.

  --all-older-than refuses every request that has waited for longer, which makes
  room in the queue: at most 1,000 requests wait, and 50 of one network.

EXAMPLES
  repronet-aggregator builders reject n5w… --reason 'write to us first: repro@example.org'
  repronet-aggregator builders reject --all-older-than 240h --reason 'not decided in time: ask again'`,
		Prepare: administrative[admin.Rejection, admin.Rejected]{
			call: admin.Reject, ask: askReject,
			show: func(env *cli.Env, out *output, r admin.Rejected) error {
				if len(r.Builders) == 1 {
					return out.say(env, r, "refused builder %s", r.Builders[0])
				}
				return out.say(env, r, "refused %s", plural(len(r.Builders), "builder"))
			},
		}.prepare,
	}
}

func askReject(flags *flag.FlagSet) func([]string) (admin.Rejection, error) {
	reason := flags.String("reason", "", "`text` that the sender is told, at most 200 bytes")
	age := flags.Duration("all-older-than", 0, "refuse all requests that have waited for this `time`, such as 240h")
	return func(args []string) (admin.Rejection, error) {
		r := admin.Rejection{Reason: *reason}
		switch {
		case len(args) == 1 && *age == 0:
			r.Builder = args[0]
		case len(args) == 0 && *age > 0:
			r.Before = time.Now().Add(-*age)
		default:
			return r, cli.Usagef("want either one BUILDER or --all-older-than TIME")
		}
		if strings.TrimSpace(*reason) == "" || len(*reason) > 200 {
			return r, cli.Usagef("want --reason TEXT of at most 200 bytes")
		}
		return r, nil
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
		Prepare: administrative[admin.Vouching, admin.Vouched]{
			call: admin.Vouch,
			ask: func(*flag.FlagSet) func([]string) (admin.Vouching, error) {
				return func(args []string) (admin.Vouching, error) {
					if len(args) != 1 {
						return admin.Vouching{}, cli.Usagef("want one BUILDER or OPERATOR")
					}
					return admin.Vouching{Name: args[0]}, nil
				}
			},
			show: func(env *cli.Env, out *output, v admin.Vouched) error {
				return out.say(env, v, "operator %s is counted; %s moved", v.Operator, plural(len(v.Moved), "builder"))
			},
		}.prepare,
	}
}
