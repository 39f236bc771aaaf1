package joining_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/joining"
	"repronet.dev/aggregator/state"
	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// TestApprove has a person approve a request.
func TestApprove(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	alice := signingtest.New(t)
	if a := w.state(alice); a.status != http.StatusNotFound {
		t.Errorf("before anybody asked: %d", a.status)
	}
	d := asks(t, alice, func(r *request.Request) { r.Operator, r.Contact = "alice", "alice@example.org" })
	for range 2 { // asking again changes nothing
		if a := w.expect(d, http.StatusAccepted, ""); a.State != api.Pending || a.Next == "" {
			t.Errorf("answer %+v", a)
		}
	}
	if a := w.state(alice); a.status != http.StatusOK || a.State != api.Pending {
		t.Errorf("state %+v", a)
	}
	pending, err := w.joining.Pending(t.Context())
	if err != nil || len(pending) != 1 || pending[0].Contact != "alice@example.org" || pending[0].OperatorKnown {
		t.Fatalf("pending %+v, %v", pending, err)
	}
	approved, err := w.joining.Approve(t.Context(), admin.Approval{Builder: string(pending[0].Builder)[:6]})
	if err != nil || approved.Operator != "alice" || approved.Index != 0 || approved.Builder != pending[0].Builder {
		t.Fatalf("approved %+v, %v", approved, err)
	}
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("still waiting: %v", got)
	}
	for name, a := range map[string]answer{"asked again": w.send(d), "state": w.state(alice)} {
		if a.status != http.StatusOK || a.State != api.Enrolled || a.Operator != "alice" || a.Tier != "counted" || a.Receipt == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// The entry has pseudonyms only; what a person said is an attachment.
	entry, err := w.send(d).Receipt.Verify(w.key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if entry.Kind != ledger.Enrolment || bytes.Contains(entry.Body, []byte("example.org")) {
		t.Errorf("the entry is %s: %s", entry.Kind, entry.Body)
	}
	e, _, err := enrolment.ParseEnrolment(entry.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := w.attachments.Get(t.Context(), ledger.AttachmentID(e.Endorsement))
	if want, encodeErr := d.Encode(); err != nil || encodeErr != nil || !bytes.Equal(text, want) {
		t.Errorf("the endorsement is %s, %v", text, err)
	}
}

func TestReject(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	alice := signingtest.New(t)
	id := alice.Public().Builder()
	if _, err := w.joining.Reject(t.Context(), admin.Rejection{Builder: string(id), Reason: "no"}); err == nil {
		t.Error("a request that nobody made was rejected")
	}
	w.expect(asks(t, alice, nil), http.StatusAccepted, "")
	if _, err := w.joining.Reject(t.Context(), admin.Rejection{Builder: string(id), Reason: "write to us"}); err != nil {
		t.Fatal(err)
	}
	if a := w.expect(asks(t, alice, named("alice")), http.StatusForbidden, "refused"); !strings.Contains(a.Detail, "write to us") {
		t.Errorf("told %q", a.Detail)
	}
	if a := w.state(alice); a.State != api.Refused || !strings.Contains(a.Next, "write to us") {
		t.Errorf("state %+v", a)
	}
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("waiting: %v", got)
	}
	// A person may change their mind.
	if _, err := w.joining.Approve(t.Context(), admin.Approval{Builder: string(id), Operator: "alice", Tier: enrolment.Open}); err != nil {
		t.Fatal(err)
	}
	if a := w.state(alice); a.State != api.Enrolled || a.Tier != "open" {
		t.Errorf("state %+v", a)
	}
}

// TestVouch moves the whole operator, and nobody else.
func TestVouch(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	one := w.enrol(enrolment.Enrolment{Operator: "alice", Tier: enrolment.Open})
	two := w.enrol(enrolment.Enrolment{Operator: "alice", Tier: enrolment.Open, NixName: "alice-1"})
	gone := w.enrol(enrolment.Enrolment{Operator: "alice", Tier: enrolment.Open})
	other := w.enrol(enrolment.Enrolment{Operator: "bob", Tier: enrolment.Open})
	if _, err := w.ingest.Revoke(t.Context(), gone.Public().Builder(), nil, "lost"); err != nil {
		t.Fatal(err)
	}
	vouched, err := w.joining.Vouch(t.Context(), string(one.Public().Builder()))
	if err != nil || vouched.Operator != "alice" || len(vouched.Moved) != 2 {
		t.Fatalf("vouched %+v, %v", vouched, err)
	}
	got := []enrolment.Tier{w.builder(one).Tier, w.builder(two).Tier, w.builder(gone).Tier, w.builder(other).Tier}
	if diff := cmp.Diff([]enrolment.Tier{enrolment.Counted, enrolment.Counted, enrolment.Open, enrolment.Open}, got); diff != "" {
		t.Errorf("tiers (-want +got):\n%s", diff)
	}
	if w.builder(two).NixName != "alice-1" {
		t.Error("the name of the cache is lost")
	}
	if vouched, err := w.joining.Vouch(t.Context(), "alice"); err != nil || len(vouched.Moved) > 0 {
		t.Errorf("again: %+v, %v", vouched, err)
	}
	if _, err := w.joining.Vouch(t.Context(), "nobody"); err == nil {
		t.Error("vouched for nobody")
	}
}

// TestRotation has one key speak for the next.
func TestRotation(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	expiry := now().AddDate(1, 0, 0)
	older := w.enrol(enrolment.Enrolment{Operator: "alice", Tier: enrolment.Open, NotAfter: expiry})
	newer := signingtest.New(t)
	d := replaces(t, older, newer, false)
	a := w.expect(d, http.StatusOK, "")
	if a.State != api.Enrolled || a.Operator != "alice" || a.Tier != "open" {
		t.Errorf("answer %+v", a)
	}
	b := w.builder(newer)
	if b.Replaces != older.Public().Builder() || !b.Key.NotAfter.Equal(expiry) {
		t.Errorf("the new key replaces %q until %s, want until %s as the old one", b.Replaces, b.Key.NotAfter, expiry)
	}
	size := w.log.Size()
	w.expect(d, http.StatusOK, "") // the answer was lost
	if w.log.Size() != size {
		t.Error("asking again wrote an entry")
	}
	if w.builder(older).Revoked {
		t.Error("the old key was revoked")
	}
	newest := signingtest.New(t)
	w.expect(replaces(t, newer, newest, true), http.StatusOK, "")
	if b := w.builder(newer); !b.Revoked || b.RevokedFrom != b.RevokedAt || b.RevokedAt != w.log.Size()-1 {
		t.Errorf("the replaced key: %+v", b)
	}
	if w.builder(newest).Revoked || w.builder(older).Revoked {
		t.Error("another key was revoked")
	}
}

func TestAskRefuses(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	for name, tt := range map[string]struct {
		body   []byte
		status int
	}{
		"nothing":   {nil, http.StatusBadRequest},
		"not JSON":  {[]byte("hello"), http.StatusBadRequest},
		"too large": {bytes.Repeat([]byte("a"), request.MaxSize+1), http.StatusRequestEntityTooLarge},
	} {
		if a := w.do(http.MethodPost, "", tt.body); a.status != tt.status {
			t.Errorf("%s: %d, want %d", name, a.status, tt.status)
		}
	}
	if a := w.do(http.MethodGet, "/not-a-builder", nil); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a name that is no builder's: %d", a.status)
	}
	router := serve(t, joining.New(joining.Config{}, nil, enrolment.NewRoster(), nil)) // its ledger is not read yet
	server := httptest.NewServer(router)
	defer server.Close()
	starting := &world{t: t, url: server.URL}
	for _, a := range []answer{starting.send(asks(t, signingtest.New(t), nil)), starting.state(signingtest.New(t))} {
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("before the ledger is read: %d", a.status)
		}
	}
}

// TestRejectOld makes room in the queue: only what has waited for long is refused.
func TestRejectOld(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	alice, bob := signingtest.New(t), signingtest.New(t)
	w.expect(asks(t, alice, named("alice")), http.StatusAccepted, "")
	w.expect(asks(t, bob, named("bob")), http.StatusAccepted, "")
	reject := func(before time.Time) []signing.BuilderID {
		t.Helper()
		rejected, err := w.joining.Reject(t.Context(), admin.Rejection{Before: before, Reason: "late"})
		if err != nil {
			t.Fatal(err)
		}
		return rejected.Builders
	}
	if got := reject(time.Now().Add(-time.Hour)); len(got) != 0 {
		t.Errorf("refused %v, which are new", got)
	}
	if got := reject(time.Now().Add(time.Hour)); len(got) != 2 {
		t.Errorf("refused %v", got)
	}
	if a := w.state(bob); a.State != api.Refused || !strings.Contains(a.Next, "late") {
		t.Errorf("told %+v", a)
	}
	if _, err := w.joining.Reject(t.Context(), admin.Rejection{Reason: "x"}); !errors.Is(err, admin.Invalid) {
		t.Errorf("without builder and time: %v", err)
	}
}

// TestShareOfANetwork: neighbours share the queue, and a proxy's clients do not.
func TestShareOfANetwork(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	from := func(remote string) string {
		t.Helper()
		text, err := new(asks(t, signingtest.New(t), named("one"))).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, problem := w.joining.AskFrom(t.Context(), remote, text); problem != nil {
			return problem.Error()
		}
		return ""
	}
	for n := range state.MaxOfNetwork {
		if problem := from(fmt.Sprintf("198.51.100.%d:1", n)); problem != "" {
			t.Fatalf("request %d: %s", n, problem)
		}
	}
	if problem := from("198.51.100.250:1"); !strings.Contains(problem, "from your network wait") {
		t.Errorf("one more of the network: %q", problem)
	}
	for _, other := range []string{"198.51.101.1:1", "[2001:db8::1]:1", "127.0.0.1:1", "10.0.0.1:1"} {
		if problem := from(other); problem != "" {
			t.Errorf("from %s: %s", other, problem)
		}
	}
}
