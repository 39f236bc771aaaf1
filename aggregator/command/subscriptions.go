package command

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/internal/cli"
)

func subscribe() cli.Command {
	return cli.Command{
		Name: "subscriptions add", Synopsis: "(--webhook URL | --email ADDRESS) [--set NAME | --package NAME | --maintainer NAME] [OPTIONS]",
		Summary: "have somebody told when verdicts change",
		About: `  Tells a webhook or a mail address what changes from now on: of a package set's
  outputs, of a package (an attribute, or a name without its version), of what
  package sets say somebody maintains, or of everything.

  A webhook gets JSON, signed as Standard Webhooks are; the secret for it is
  printed, once. A mail address is asked first, and told nothing until it agrees.

EXAMPLES
  repronet-aggregator subscriptions add --set nixos-unstable --webhook https://chat.example.org/hook
  repronet-aggregator subscriptions add --maintainer anna --email anna@example.org --daily`,
		Prepare: administrative[admin.Wanted, admin.Subscribed]{
			call: admin.Subscribe, ask: askWanted,
			show: func(env *cli.Env, out *output, s admin.Subscribed) error {
				if s.Webhook != "" {
					return out.say(env, s, "added subscription %s: %s of %s\nsecret, which is not shown again: %s", s.ID, kindsOf(s.Wanted), subjectOf(s.Wanted), s.Secret)
				}
				return out.say(env, s, "added subscription %s: %s of %s, once %s confirms it", s.ID, kindsOf(s.Wanted), subjectOf(s.Wanted), s.Email)
			},
		}.prepare,
	}
}

func askWanted(flags *flag.FlagSet) func([]string) (admin.Wanted, error) {
	var w admin.Wanted
	flags.StringVar(&w.Webhook, "webhook", "", "`URL` that gets a POST")
	flags.StringVar(&w.Email, "email", "", "mail `address` that is asked, and then told")
	flags.StringVar(&w.Set, "set", "", "only changes of the outputs of this package `set`")
	flags.StringVar(&w.Package, "package", "", "only changes of the package of this `name`")
	flags.StringVar(&w.Maintainer, "maintainer", "", "only changes of what package sets say is maintained by `name`")
	flags.BoolVar(&w.Daily, "daily", false, "once a day; else at once")
	changes := flags.String("changes", "regressed,diverged,fixed", "`kinds` of changes, with commas: regressed, diverged, fixed, undecided")
	return func(args []string) (admin.Wanted, error) {
		for kind := range strings.SplitSeq(*changes, ",") {
			var parsed api.ChangeKind
			if err := parsed.UnmarshalText([]byte(kind)); err != nil {
				return w, cli.Usagef("--changes: %.40q is none of %s", kind, strings.Join(parsed.Values(), ", "))
			}
			w.Changes = append(w.Changes, parsed)
		}
		if (w.Webhook == "") == (w.Email == "") {
			return w, cli.Usagef("want either --webhook URL or --email ADDRESS")
		}
		return w, noArguments(args)
	}
}

func listSubscriptions() cli.Command {
	return cli.Command{
		Name: "subscriptions list", Synopsis: "[OPTIONS]", Summary: "list who is told when verdicts change",
		About: `  Lists the subscriptions, oldest first. One is unconfirmed until its mail address
  agrees, and forgotten if it does not within seven days; one is failing if
  nothing could be delivered for about a day. It is still tried, each ten hours.

EXAMPLES
  repronet-aggregator subscriptions list
  repronet-aggregator subscriptions list --json | jq -r '.[] | select(.state == "failing").failure'`,
		Prepare: administrative[admin.None, []admin.Subscription]{
			call: admin.ListSubscriptions, ask: nothing,
			show: func(env *cli.Env, out *output, list []admin.Subscription) error {
				rows := make([][]string, len(list))
				for i, s := range list {
					delivered := "-"
					if !s.Delivered.IsZero() {
						delivered = s.Delivered.Format(time.RFC3339)
					}
					rows[i] = []string{s.ID, s.State, subjectOf(s.Wanted), kindsOf(s.Wanted), s.Webhook + s.Email, delivered, dash(s.Failure)}
				}
				return out.table(env, list, []string{"ID", "STATE", "OF", "CHANGES", "TO", "DELIVERED", "FAILURE"}, rows)
			},
		}.prepare,
	}
}

func unsubscribe() cli.Command {
	return cli.Command{
		Name: "subscriptions remove", Synopsis: "ID [OPTIONS]", Summary: "tell somebody no more",
		About: `  Removes a subscription with its address, and what was still to be told. The first
  characters of its ID are enough.`,
		Prepare: administrative[admin.SubscriptionName, admin.Subscription]{
			call: admin.Unsubscribe, ask: askSubscription,
			show: func(env *cli.Env, out *output, s admin.Subscription) error {
				return out.say(env, s, "removed subscription %s to %s", s.ID, s.Webhook+s.Email)
			},
		}.prepare,
	}
}

func testSubscription() cli.Command {
	return cli.Command{
		Name: "subscriptions test", Synopsis: "ID [OPTIONS]", Summary: "send something to a subscriber now",
		About: `  Sends a test to a webhook (its type is repronet.test) or a mail address, and says
  why it did not arrive. An address that did not confirm its subscription is asked
  once more instead.`,
		Prepare: administrative[admin.SubscriptionName, admin.Tested]{
			call: admin.TestSubscription, ask: askSubscription,
			show: func(env *cli.Env, out *output, s admin.Tested) error {
				if s.Asked {
					return out.say(env, s, "asked %s once more to confirm subscription %s", s.Email, s.ID)
				}
				return out.say(env, s, "%s took a test", s.Webhook+s.Email)
			},
		}.prepare,
	}
}

func askSubscription(*flag.FlagSet) func([]string) (admin.SubscriptionName, error) {
	return func(args []string) (admin.SubscriptionName, error) {
		if len(args) != 1 {
			return admin.SubscriptionName{}, cli.Usagef("want one ID")
		}
		return admin.SubscriptionName{ID: args[0]}, nil
	}
}

// subjectOf names what a subscription is of.
func subjectOf(w admin.Wanted) string {
	switch {
	case w.Set != "":
		return "set " + w.Set
	case w.Package != "":
		return "package " + w.Package
	case w.Maintainer != "":
		return "maintainer " + w.Maintainer
	}
	return "everything"
}

func kindsOf(w admin.Wanted) string {
	kinds := make([]string, len(w.Changes))
	for i, kind := range w.Changes {
		kinds[i] = string(kind)
	}
	text := strings.Join(kinds, ",")
	if w.Daily {
		return fmt.Sprintf("%s daily", text)
	}
	return text
}
