package notify

import (
	"crypto/tls"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/notify/notifytest"
	"repronet.dev/aggregator/query"
	"repronet.dev/api"
	"repronet.dev/dashboard"
)

const server = "https://repro.example.org"

// mailing is the configuration of who gives mails to a sink.
func mailing(sink *notifytest.Sink, encryption Encryption) Config {
	return Config{URL: server, Mail: &Mail{
		Host: sink.Host, Port: sink.Port, Encryption: encryption, From: "repronet@repro.example.org", TLS: &tls.Config{RootCAs: sink.Roots, MinVersion: tls.VersionTLS12},
	}}
}

// follow does what a link of a mail is for.
func (w *world) follow(link string) (*dashboard.Subscription, error) {
	w.t.Helper()
	u, err := url.Parse(link)
	parts := strings.Split(u.Path, "/")
	if err != nil || len(parts) != 4 || "/"+parts[1] != dashboard.SubscriptionsPath || !strings.HasPrefix(link, server) {
		w.t.Fatalf("link %q, %v", link, err)
	}
	of, err := w.Subscription(w.t.Context(), parts[2], parts[3], u.Query().Get("token"))
	if err != nil {
		return nil, err
	}
	return of, w.Decide(w.t.Context(), parts[2], parts[3], u.Query().Get("token"))
}

// linkOf returns the link of a mail with a path that ends so.
func linkOf(t *testing.T, m *notifytest.Mail, action string) string {
	t.Helper()
	found := regexp.MustCompile(`https://\S*/` + action + `\?\S*`).FindString(m.Text)
	if found == "" {
		t.Fatalf("no link to %s in %s", action, m.Text)
	}
	return found
}

// TestMail: an address is asked, told nothing before it agreed, then told in mails that can be
// answered by a click, and nothing more after that.
func TestMail(t *testing.T) {
	sink := notifytest.NewSink(t, notifytest.Config{TLS: true, User: "repronet", Password: "s3cret"})
	config := mailing(sink, STARTTLS)
	config.Mail.User, config.Mail.Password = "repronet", "s3cret"
	w := newWorld(t, config)
	of := w.subscribe(admin.Wanted{Set: "stable", Email: "anna@maintainers.example.org"})
	if of.State != "unconfirmed" || of.Secret != "" {
		t.Errorf("added %+v", of)
	}
	turned := in("stable", "hello", api.ChangeRegressed)
	turned.Version, turned.Was = "2.12.1", hello
	w.change(api.ChangeDiverged, turned)
	w.look()
	w.attempt(of.ID)
	mails := sink.Wait(t, 1)
	if m := mails[0]; !m.TLS || m.From != "repronet@repro.example.org" || len(m.To) != 1 || m.To[0] != "anna@maintainers.example.org" || strings.Contains(m.Text, "hello") {
		t.Errorf("the question: %+v", m)
	}
	if tested, err := w.Test(t.Context(), of.ID); err != nil || !tested.Asked {
		t.Errorf("asked again: %+v, %v", tested, err)
	}
	w.look()
	w.attempt(of.ID)
	if got := len(sink.Mails()); got != 2 {
		t.Errorf("%d mails to who was only asked", got)
	}
	if of, err := w.follow(linkOf(t, &mails[0], "confirm")); err != nil || of.Confirmed || of.Of != "package set stable" {
		t.Errorf("confirmed: %+v, %v", of, err)
	}
	w.look()
	w.attempt(of.ID)
	m := sink.Wait(t, 3)[2]
	for header, want := range map[string]string{
		"Subject": "repronet: 1 change of package set stable", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Auto-Submitted": "auto-generated",
		"List-Unsubscribe": "<" + linkOf(t, &m, "unsubscribe") + ">", "To": "<anna@maintainers.example.org>", "Content-Type": "text/plain; charset=UTF-8",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	for _, want := range []string{"Regression: hello-2.12.1 diverged, hello-2.12.1 was reproduced", server + "/builds/nix/store/", "By ledger entry 0 the verdict went"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the mail has no %q:\n%s", want, m.Text)
		}
	}
	w.change(api.ChangeFixed, in("stable", "hello", api.ChangeFixed))
	w.look()
	w.wantWaits(of.ID) // so soon after another mail
	if _, err := w.follow(linkOf(t, &m, "unsubscribe")); err != nil {
		t.Error(err)
	}
	if _, err := w.follow(linkOf(t, &m, "unsubscribe")); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("unsubscribed twice: %v", err)
	}
	if list, err := w.Subscriptions(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left %v, %v", list, err)
	}
}

// TestUnconfirmed: an address that was asked, and did not answer, is told nothing, however much
// changes.
func TestUnconfirmed(t *testing.T) {
	sink := notifytest.NewSink(t, notifytest.Config{})
	w := newWorld(t, mailing(sink, Unencrypted))
	of := w.subscribe(admin.Wanted{Email: "anna@example.org"})
	if err := w.state.Delivered(t.Context(), of.ID, w.subscription(of.ID).Message, now().Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.change(api.ChangeDiverged)
	w.look()
	w.wantWaits(of.ID)
	if err := w.state.ConfirmSubscription(t.Context(), of.ID, now()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.wantWaits(of.ID, 0)
}

// TestForgedLinks: who does not have the mail can neither confirm nor end a subscription, and
// a link for the one is none for the other.
func TestForgedLinks(t *testing.T) {
	sink := notifytest.NewSink(t, notifytest.Config{})
	w := newWorld(t, mailing(sink, Unencrypted))
	of := w.subscription(w.subscribe(admin.Wanted{Email: "anna@example.org"}).ID)
	other := w.subscription(w.subscribe(admin.Wanted{Email: "bert@example.org"}).ID)
	hook := w.subscription(w.subscribe(admin.Wanted{Webhook: target}).ID)
	for name, c := range map[string]struct {
		id    string
		to    action
		token string
	}{
		"none":                     {of.ID, confirm, ""},
		"that of the other":        {of.ID, unsubscribe, token(of.Secret, of.ID, confirm)},
		"another's":                {of.ID, confirm, token(other.Secret, other.ID, confirm)},
		"by another's secret":      {of.ID, confirm, token(other.Secret, of.ID, confirm)},
		"without a secret":         {"nobody", confirm, token(nil, "nobody", confirm)},
		"of no action":             {of.ID, "delete", token(of.Secret, of.ID, "delete")},
		"longer":                   {of.ID, confirm, token(of.Secret, of.ID, confirm) + "A"},
		"half":                     {of.ID, confirm, token(of.Secret, of.ID, confirm)[:10]},
		"to end another's webhook": {hook.ID, unsubscribe, token(hook.Secret, hook.ID, unsubscribe)},
	} {
		if err := w.Decide(t.Context(), c.id, string(c.to), c.token); !errors.Is(err, dashboard.ErrNotFound) {
			t.Errorf("a token %s: %v", name, err)
		}
	}
	if got := w.subscription(of.ID); !got.Confirmed.IsZero() {
		t.Error("it was confirmed")
	}
	if err := w.Decide(t.Context(), of.ID, string(confirm), token(of.Secret, of.ID, confirm)); err != nil || w.subscription(of.ID).Confirmed.IsZero() {
		t.Errorf("the right one: %v", err)
	}
}

// TestHostileNames: what strangers wrote stands in a mail as text: no header, no control
// character, no line of its own, and no more than fits.
func TestHostileNames(t *testing.T) {
	sink := notifytest.NewSink(t, notifytest.Config{})
	w := newWorld(t, mailing(sink, Unencrypted))
	of := w.subscribe(admin.Wanted{Maintainer: strings.Repeat("ä\u202eb ", 20), Email: "anna@example.org"})
	if err := w.state.ConfirmSubscription(t.Context(), of.ID, now()); err != nil {
		t.Fatal(err)
	}
	for n := range 400 {
		evil := in("stable", "\x1b[31m\r\nBcc: all@example.org\r\n.\r\n", api.ChangeDiverged, of.Maintainer)
		w.turns = append(w.turns, newTurn(uint64(n), api.ChangeDiverged, evil))
		w.turns[n].Key = "/nix/store/x\r\n.\r\nSubject: hi\u202e" + strings.Repeat("y", 900)
		w.turns[n].In = []query.SetTurn{w.turns[n].In[0]}
		w.turns[n].In[0].Key = w.turns[n].Key
	}
	w.size = 400
	w.look()
	w.attempt(of.ID)
	m := sink.Wait(t, 1)[0]
	if len(m.To) != 1 || len(m.Header["Subject"]) != 1 || len(m.Header["Bcc"]) != 0 {
		t.Errorf("headers %v", m.Header)
	}
	if subject := m.Header.Get("Subject"); len(subject) > 400 || strings.ContainsAny(subject, "\x1b\u202e") {
		t.Errorf("subject %q", subject)
	}
	if len(m.Text) > 200_000 || strings.ContainsAny(m.Text, "\x1b\u202e") || strings.Contains(m.Text, "\nBcc") || strings.Contains(m.Text, "\nSubject") {
		t.Errorf("the text has what acts, in %d bytes", len(m.Text))
	}
	if !strings.Contains(m.Text, "and 350 more: "+server+"/divergences?maintainer=") {
		t.Errorf("it does not say how many it leaves out: %s", m.Text[len(m.Text)-600:])
	}
}

// TestMailServers: a password or a mail never goes to a server without the encryption that is
// asked for, and one that refuses or says too much is an error.
func TestMailServers(t *testing.T) {
	plain := notifytest.NewSink(t, notifytest.Config{})
	encrypted := notifytest.NewSink(t, notifytest.Config{TLS: true, User: "repronet", Password: "s3cret"})
	stranger := notifytest.NewSink(t, notifytest.Config{TLS: true})
	send := func(c Config) error {
		return c.Mail.send(t.Context(), &letter{id: "msg_1", to: "anna@example.org", subject: "hi", text: "hi\n", unsubscribe: server + "/x"})
	}
	fails := func(name string, c Config, want string) {
		t.Helper()
		if err := send(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	fails("a server without STARTTLS", mailing(plain, STARTTLS), "does not support STARTTLS")
	wrong := mailing(encrypted, STARTTLS)
	wrong.Mail.User, wrong.Mail.Password = "repronet", "wrong"
	fails("a wrong password", wrong, "535")
	other := mailing(stranger, STARTTLS)
	other.Mail.TLS.RootCAs = encrypted.Roots
	fails("another's certificate", other, "certificate")
	plain.Refuse(errors.New("no room"))
	fails("one that refuses", mailing(plain, Unencrypted), "no room")
	plain.Refuse(nil)
	if err := send(mailing(plain, Unencrypted)); err != nil {
		t.Error(err)
	}
	implicit := notifytest.NewSink(t, notifytest.Config{Implicit: true, User: "repronet", Password: "s3cret"})
	from := mailing(implicit, TLS)
	from.Mail.User, from.Mail.Password = "repronet", "s3cret"
	if err := errors.Join(send(from), from.Mail.Check(t.Context())); err != nil || len(implicit.Mails()) != 1 || !implicit.Mails()[0].TLS {
		t.Errorf("TLS from the beginning: %v, %+v", err, implicit.Mails())
	}
	fails("TLS with a server that does not", mailing(plain, TLS), "tls: ")
	if err := wrong.Mail.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("a check of a wrong password: %v", err)
	}
	gone := mailing(plain, Unencrypted)
	gone.Mail.Port = 1
	fails("no server", gone, "refused")
	talks := talker(t, strings.Repeat("220-welcome\r\n", 100_000))
	endless := mailing(plain, Unencrypted)
	endless.Mail.Host, endless.Mail.Port = talks.Host, talks.Port
	began := time.Now()
	fails("one without an end", endless, "says more than it should")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it was listened to for %v", took)
	}
	if n := len(plain.Mails()); n != 1 {
		t.Errorf("%d mails came", n)
	}
}

// TestCheckAddress: an address is what mail programs take, and nothing that could be a header,
// a list, or a command to a mail server.
func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"anna@example.org": true, "a.b+c_d@sub.example.org": true, "o'neil@example.org": true, "root@localhost": true,
		"": false, "anna": false, "@example.org": false, "anna@": false, "anna@example.org\r\nBcc: all@example.org": false, "anna@example.org\x00": false,
		"anna@example.org,bert@example.org": false, "anna@example.org bert@example.org": false, "Anna <anna@example.org>": false, "<anna@example.org>": false,
		`"anna bert"@example.org`: false, "anna@[127.0.0.1]": false, "anna@exa mple.org": false, "anna@-example.org": false, "anna@example..org": false, "a@b@c": false,
		".anna@example.org": false, "an..na@example.org": false, "änna@example.org": false, "anna@exämple.org": false, strings.Repeat("a", 250) + "@b.org": false,
		"anna@example.org>\r\nRCPT TO:<all@example.org": false, "anna(comment)@example.org": false,
	} {
		if err := CheckAddress(address); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}
