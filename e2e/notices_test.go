package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"repronet.dev/aggregator/notify/notifytest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// A subscriber is a webhook's target, and a mail address, of a real aggregator.
type subscriber struct {
	t      *testing.T
	s      *server
	sink   *notifytest.Sink
	hook   *httptest.Server
	secret atomic.Pointer[string]
	got    chan delivery
	// meanwhile is done once, before a webhook's answer.
	meanwhile atomic.Pointer[func()]
}

type delivery struct {
	id     string
	notice api.Notice
}

func newSubscriber(t *testing.T) *subscriber {
	t.Helper()
	w := &subscriber{t: t, sink: notifytest.NewSink(t, notifytest.Config{}), got: make(chan delivery, 100)}
	w.hook = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.receive(r) }))
	t.Cleanup(w.hook.Close)
	config := filepath.Join(t.TempDir(), "aggregator.yaml")
	text := fmt.Sprintf("url: https://repro.example.org\nnotify:\n  allow_private: true\n  smtp: {host: %s, port: %d, encryption: none, from: repronet@repro.example.org}\n", w.sink.Host, w.sink.Port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.s = startAggregator(t, "--config", config)
	return w
}

// receive checks a webhook as its receiver has to.
func (w *subscriber) receive(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(*w.secret.Load(), "whsec_"))
	if err != nil {
		w.t.Error(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if got, want := r.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		w.t.Errorf("signature %s, want %s", got, want)
	}
	d := delivery{id: r.Header.Get("webhook-id")}
	if err := json.Unmarshal(body, &d.notice); err != nil {
		w.t.Errorf("%s: %v", body, err)
	}
	if do := w.meanwhile.Swap(nil); do != nil {
		(*do)()
	}
	w.got <- d
}

func (w *subscriber) next() delivery {
	w.t.Helper()
	select {
	case d := <-w.got:
		return d
	case <-time.After(time.Minute):
		w.t.Fatal("the webhook was told nothing")
		return delivery{}
	}
}

// claim has an operator attest a digest of an output.
func (w *subscriber) claim(by *signing.Signer, build, digest string) {
	w.t.Helper()
	stream := make([]byte, 16)
	_, _ = rand.Read(stream)
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "generic", DigestKind: attestation.File, Environment: map[string]string{"os": "test"},
		Chain:    attestation.Chain{Stream: hex.EncodeToString(stream)},
		Subjects: []attestation.Subject{{Name: build + "^bin", Digest: sha256.Sum256([]byte(digest))}},
		Builds:   []attestation.Build{{Name: build, Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
	}
	bundle, err := by.Sign(w.t.Context(), statement)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := api.Dial(w.s.URL, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	for result, err := range client.Submit(w.t.Context(), api.SubmitPath, [][]byte{bundle}) {
		if err != nil || result.Receipt == nil {
			w.t.Fatalf("%+v, %v", result, err)
		}
	}
}

// diverge has two operators attest different digests of an output.
func (w *subscriber) diverge(a, b *signing.Signer, build string) {
	w.t.Helper()
	w.claim(a, build, "one")
	w.claim(b, build, "another")
}

// TestNotices: a webhook and a mail address are told of a divergence in a package set, with a
// right signature, and after a confirmation. A server that is killed after the webhook
// took it, and before that is written down, tells it again under the same ID; nothing else is
// told twice, also by an index that is made anew, and the past is not told at all.
func TestNotices(t *testing.T) {
	t.Parallel()
	w := newSubscriber(t)
	var operators []*signing.Signer
	for _, operator := range []string{"alice", "bob"} {
		signer := signingtest.New(t)
		file := filepath.Join(t.TempDir(), operator+".pub")
		if err := os.WriteFile(file, signer.Public().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		w.s.admin(w.t, "builders enrol", "--operator", operator, "--key", file)
		operators = append(operators, signer)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("some/past-1.0^bin\nsome/first-1.0^bin\nsome/second-1.0^bin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.s.admin(w.t, "sets publish", "some", "--ecosystem", "generic", "--revision", "1", "--from", list)
	w.diverge(operators[0], operators[1], "some/past-1.0")
	indexed(t, w.s.URL)

	var added struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(w.s.admin(w.t, "subscriptions add", "--set", "some", "--webhook", w.hook.URL, "--json")), &added); err != nil {
		t.Fatal(err)
	}
	w.secret.Store(&added.Secret)
	w.s.admin(w.t, "subscriptions add", "--set", "some", "--email", "anna@maintainers.example.org")
	question := w.sink.Wait(t, 1)[0]
	w.press(linkIn(t, question.Text, "confirm"))

	kill := func() {
		if err := w.s.Kill(); err != nil {
			t.Error(err)
		}
	}
	w.meanwhile.Store(&kill)
	w.diverge(operators[0], operators[1], "some/first-1.0")
	first := w.next()
	if err := w.s.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := w.next()
	if first.id != again.id || len(first.notice.Data.Changes) != 1 || len(again.notice.Data.Changes) != 1 {
		t.Errorf("told %+v, and after the end of the server %+v", first, again)
	}
	if change := again.notice.Data.Changes[0]; again.notice.Type != api.NoticeChanges || change.Key != "some/first-1.0^bin" || change.Kind != api.ChangeDiverged {
		t.Errorf("told %+v", again.notice)
	}
	mails := w.sink.Wait(t, 2)
	for _, mail := range mails[1:] { // it may have been sent when the server was killed
		if !strings.Contains(mail.Text, "some/first-1.0^bin") || strings.Contains(mail.Text, "past") || mail.Header.Get("Message-Id") != mails[1].Header.Get("Message-Id") {
			t.Errorf("the mail says %s", mail.Text)
		}
	}

	w.s.admin(w.t, "reindex")
	w.diverge(operators[0], operators[1], "some/second-1.0")
	next := w.next()
	if next.id == first.id || len(next.notice.Data.Changes) != 1 || next.notice.Data.Changes[0].Key != "some/second-1.0^bin" {
		t.Errorf("after a reindexing it was told %+v", next)
	}
	w.press(linkIn(t, mails[1].Text, "unsubscribe"))
	if list := w.s.admin(w.t, "subscriptions list"); strings.Contains(list, "anna") || !strings.Contains(list, w.hook.URL) {
		t.Errorf("subscriptions:\n%s", list)
	}
	metrics, err := fetch(t.Context(), w.s.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`repronet_notices_total{result="delivered",to="webhook"} 2`, `repronet_subscriptions{state="active",to="webhook"} 1`, "repronet_notices_pending 0"} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	select {
	case d := <-w.got:
		t.Errorf("told too much: %+v", d)
	default:
	}
}

// linkIn finds the link of a mail that ends in an action.
func linkIn(t *testing.T, text, action string) string {
	t.Helper()
	found := regexp.MustCompile(`https://repro\.example\.org(/subscriptions/\S*/` + action + `\?\S*)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no link to %s in %s", action, text)
	}
	return found[1]
}

// press follows a link of a mail, which changes nothing by itself, and presses its button.
func (w *subscriber) press(path string) {
	w.t.Helper()
	before := w.s.admin(w.t, "subscriptions list")
	page, err := fetch(w.t.Context(), w.s.URL+path)
	if err != nil || !strings.Contains(string(page), `<form method="post">`) {
		w.t.Fatalf("the page of a link: %s, %v", page, err)
	}
	if after := w.s.admin(w.t, "subscriptions list"); after != before {
		w.t.Errorf("who looked at a link changed\n%sto\n%s", before, after)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.s.URL+path, strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		w.t.Errorf("pressed: %s", response.Status)
	}
}
