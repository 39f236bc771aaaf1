package joining_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"repronet/aggregator/admin"
	"repronet/aggregator/joining"
	"repronet/enrolment"
	"repronet/enrolment/request"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/signing/signingtest"
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
		if a := w.expect(d, http.StatusAccepted, ""); a.State != wire.Pending || a.Next == "" {
			t.Errorf("answer %+v", a)
		}
	}
	if a := w.state(alice); a.status != http.StatusOK || a.State != wire.Pending {
		t.Errorf("state %+v", a)
	}
	pending, err := w.joining.Pending(t.Context())
	if err != nil || len(pending) != 1 || pending[0].Contact != "alice@example.org" || pending[0].OperatorKnown {
		t.Fatalf("pending %+v, %v", pending, err)
	}
	index, operator, err := w.joining.Approve(t.Context(), admin.Approval{Builder: pending[0].Builder})
	if err != nil || operator != "alice" || index != 0 {
		t.Fatalf("approved at %d for %s, %v", index, operator, err)
	}
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("still waiting: %v", got)
	}
	for name, a := range map[string]answer{"asked again": w.send(d), "state": w.state(alice)} {
		if a.status != http.StatusOK || a.State != wire.Enrolled || a.Operator != "alice" || a.Tier != "counted" || a.Receipt == nil {
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
	if err := w.joining.Reject(t.Context(), id, "no"); err == nil {
		t.Error("a request that nobody made was rejected")
	}
	w.expect(asks(t, alice, nil), http.StatusAccepted, "")
	if err := w.joining.Reject(t.Context(), id, "write to us"); err != nil {
		t.Fatal(err)
	}
	if a := w.expect(asks(t, alice, named("alice")), http.StatusForbidden, "refused"); !strings.Contains(a.Detail, "write to us") {
		t.Errorf("told %q", a.Detail)
	}
	if a := w.state(alice); a.State != wire.Refused || !strings.Contains(a.Next, "write to us") {
		t.Errorf("state %+v", a)
	}
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("waiting: %v", got)
	}
	// A person may change their mind.
	if _, _, err := w.joining.Approve(t.Context(), admin.Approval{Builder: id, Operator: "alice", Tier: enrolment.Open}); err != nil {
		t.Fatal(err)
	}
	if a := w.state(alice); a.State != wire.Enrolled || a.Tier != "open" {
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
	moved, operator, err := w.joining.Vouch(t.Context(), string(one.Public().Builder()))
	if err != nil || operator != "alice" || len(moved) != 2 {
		t.Fatalf("moved %v of %s, %v", moved, operator, err)
	}
	got := []enrolment.Tier{w.builder(one).Tier, w.builder(two).Tier, w.builder(gone).Tier, w.builder(other).Tier}
	if diff := cmp.Diff([]enrolment.Tier{enrolment.Counted, enrolment.Counted, enrolment.Open, enrolment.Open}, got); diff != "" {
		t.Errorf("tiers (-want +got):\n%s", diff)
	}
	if w.builder(two).NixName != "alice-1" {
		t.Error("the name of the cache is lost")
	}
	if moved, _, err := w.joining.Vouch(t.Context(), "alice"); err != nil || len(moved) > 0 {
		t.Errorf("again: %v, %v", moved, err)
	}
	if _, _, err := w.joining.Vouch(t.Context(), "nobody"); err == nil {
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
	if a.State != wire.Enrolled || a.Operator != "alice" || a.Tier != "open" {
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
	if a := w.do(http.MethodGet, "/not-a-builder", nil); a.status != http.StatusNotFound {
		t.Errorf("a name that is no builder's: %d", a.status)
	}
	router := gin.New()
	joining.New(joining.Config{}, nil, enrolment.NewRoster(), nil).Register(router) // its ledger is not read yet
	server := httptest.NewServer(router)
	defer server.Close()
	starting := &world{t: t, url: server.URL}
	for _, a := range []answer{starting.send(asks(t, signingtest.New(t), nil)), starting.state(signingtest.New(t))} {
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("before the ledger is read: %d", a.status)
		}
	}
}
