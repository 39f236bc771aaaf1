package notify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/docs/docstest"
)

// TestRefusedSubscriptions: what cannot be told is not taken, and said so; docs/bad-input.md has
// the answers.
func TestRefusedSubscriptions(t *testing.T) {
	w := newWorld(t, Config{})
	mails := newWorld(t, Config{URL: server, Mail: &Mail{}})
	var table strings.Builder
	fmt.Fprint(&table, "| subscription | sentence |\n|---|---|\n")
	for _, c := range []struct {
		what   string
		wanted admin.Wanted
		want   string
	}{
		{"to nowhere", admin.Wanted{}, "want either a webhook or a mail address"},
		{"to two places", admin.Wanted{Webhook: target, Email: "anna@example.org"}, "want either a webhook or a mail address"},
		{"of two things", admin.Wanted{Set: "stable", Package: "hello", Webhook: target}, "a subscription is of one package set"},
		{"of a set that is not published", admin.Wanted{Set: "none", Webhook: target}, "was published"},
		{"of a kind of change that there is not", admin.Wanted{Webhook: target, Changes: []api.ChangeKind{"fell"}}, "is no kind of change"},
		{"of a kind twice", admin.Wanted{Webhook: target, Changes: []api.ChangeKind{"fixed", "fixed"}}, "is named twice"},
		{"to a host without a scheme", admin.Wanted{Webhook: "chat.example.org"}, "is no address of a webhook"},
		{"to a file", admin.Wanted{Webhook: "file:///etc/passwd"}, "is no address of a webhook"},
		{"to an address of 3 kB", admin.Wanted{Webhook: target + strings.Repeat("x", 3000)}, "is no address of a webhook"},
		{"to an address with a password", admin.Wanted{Webhook: "https://me:secret@chat.example.org/"}, "has no user and password in it"},
		{"to an address with a header behind it", admin.Wanted{Email: "anna@example.org\r\nBcc: all@example.org"}, "is no mail address"},
		{"to two addresses", admin.Wanted{Email: "anna@example.org, all@example.org"}, "is no mail address"},
		{"to an address with a name", admin.Wanted{Email: "Anna <anna@example.org>"}, "is no mail address"},
		{"to an address of 300 bytes", admin.Wanted{Email: strings.Repeat("a", 288) + "@example.org"}, "longer than 254 bytes"},
		{"of a maintainer with a line break", admin.Wanted{Maintainer: "an\nna", Webhook: target}, "control characters"},
		{"of a package of 201 bytes", admin.Wanted{Package: strings.Repeat("x", 201), Webhook: target}, "more than 200 bytes"},
	} {
		_, err := mails.Subscribe(t.Context(), c.wanted)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
			continue
		}
		fmt.Fprintf(&table, "| %s | %s |\n", c.what, err)
	}
	if list, err := mails.Subscriptions(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("kept %v, %v", list, err)
	}
	if _, err := w.Subscribe(t.Context(), admin.Wanted{Email: "anna@example.org"}); err == nil || !strings.Contains(err.Error(), "no mail server is configured: set notify.smtp.host") {
		t.Errorf("without a mail server: %v", err)
	}
	if !t.Failed() {
		docstest.BadInput(t, "aggregator/notify", "end of subscriptions", table.String())
	}
}

// TestSubscribe: what is wanted where nothing is said, and a name that is none removes nothing.
func TestSubscribe(t *testing.T) {
	w := newWorld(t, Config{})
	all := w.subscribe(admin.Wanted{Webhook: target})
	if diff := cmp.Diff([]api.ChangeKind{api.ChangeRegressed, api.ChangeDiverged, api.ChangeFixed}, all.Changes); diff != "" {
		t.Errorf("by itself (-want +got):\n%s", diff)
	}
	for _, name := range []string{"", "none", all.ID + "x"} {
		if _, err := w.Unsubscribe(t.Context(), name); err == nil {
			t.Errorf("%q was removed", name)
		}
	}
	if gone, err := w.Unsubscribe(t.Context(), all.ID[:4]); err != nil || gone.ID != all.ID {
		t.Errorf("removed %+v, %v", gone, err)
	}
}
