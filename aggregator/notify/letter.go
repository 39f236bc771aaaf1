package notify

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/dashboard"
)

// listedInMail is how many changes a mail lists.
const listedInMail = 50

// link is where a subscriber does something with a subscription.
func (n *Notifier) link(of *state.Subscription, to action) string {
	return n.config.URL + dashboard.SubscriptionsPath + "/" + of.ID + "/" + string(to) + "?" + url.Values{"token": {token(of.Secret, of.ID, to)}}.Encode()
}

// letter writes the mail of a message.
func (n *Notifier) letter(of *state.Subscription, m *state.Message) (*letter, error) {
	l := &letter{id: m.ID, to: of.Email, unsubscribe: n.link(of, unsubscribe)}
	if of.Confirmed.IsZero() {
		l.subject, l.text = "repronet: confirm that you want to be told", n.question(of)
		return l, nil
	}
	var notice api.Notice
	if err := json.Unmarshal(m.Body, &notice); err != nil {
		return nil, fmt.Errorf("reading a message that was kept: %w", err)
	}
	var text strings.Builder
	switch notice.Type {
	case api.NoticeTest:
		l.subject = "repronet: a test"
		fmt.Fprintf(&text, "The operator of %s tests that you can be told of changes of %s.\nYou can, and need not do anything.\n", n.config.URL, subject(of))
	case api.NoticeChanges:
		l.subject = fmt.Sprintf("repronet: %s of %s", counted(len(notice.Data.Changes)+notice.Data.More), subject(of))
		n.list(&text, &notice.Data)
	}
	fmt.Fprintf(&text, "\n-- \nYou get this because you asked %s for it.\nTo get no more of it: %s\n", n.config.URL, l.unsubscribe)
	l.text = text.String()
	return l, nil
}

// question asks an address whether it wants to be told.
func (n *Notifier) question(of *state.Subscription) string {
	return fmt.Sprintf(`Somebody asked %s to write to you when something changes of
%s (%s).

If that was you, or you want it, confirm it within seven days:

%s

Otherwise do nothing: you get no further mail, and your address is forgotten.
At once, if you prefer: %s
`, n.config.URL, subject(of), often(of), n.link(of, confirm), n.link(of, unsubscribe))
}

func often(of *state.Subscription) string {
	words := make([]string, len(of.Kinds))
	for i, kind := range of.Kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, ", ") + "; " + map[bool]string{true: "once a day", false: "at once"}[of.Daily]
}

// list writes changes down.
func (n *Notifier) list(text *strings.Builder, data *api.NoticeData) {
	shown := data.Changes[:min(len(data.Changes), listedInMail)]
	for i := range shown {
		said, why := dashboard.Sentences(&shown[i])
		fmt.Fprintf(text, "%s\n  %s\n  %s%s\n\n", said, why, n.config.URL, dashboard.ChangeURL(&shown[i]))
	}
	if more := data.More + len(data.Changes) - len(shown); more > 0 {
		fmt.Fprintf(text, "and %d more: %s\n", more, data.URL)
	} else {
		fmt.Fprintf(text, "All that diverges now: %s\n", data.URL)
	}
}

// longestName bounds a name in a subject, which is a line of its reader's screen.
const longestName = 60

// subject names what a subscription is of, for people.
func subject(of *state.Subscription) string {
	name := dashboard.Plain(cmp.Or(of.Set, of.Package, of.Maintainer), longestName)
	switch {
	case of.Set != "":
		return "package set " + name
	case of.Package != "":
		return "package " + name
	case of.Maintainer != "":
		return "what " + name + " maintains"
	}
	return "all outputs"
}

func counted(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}
