package joining_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/joining"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
	"repronet.dev/signing/sigstore/sigstoretest"
)

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// replaces is a document in which one key endorses another.
func replaces(t *testing.T, older, newer *signing.Signer, revoke bool) request.Document {
	t.Helper()
	d := asks(t, newer, func(r *request.Request) { r.Replaces, r.RevokeReplaced = older.Public().Builder(), revoke })
	d.Endorsement = signed(t, older, payloadOf(t, d))
	return d
}

func (w *world) revoke(signer *signing.Signer) {
	w.t.Helper()
	if _, err := w.ingest.Revoke(w.t.Context(), signer.Public().Builder(), nil, "stolen"); err != nil {
		w.t.Fatal(err)
	}
}

// Who sends somebody else's request again only repeats what that somebody asked
// for, and cannot take back what was said since.
func TestReplayOfAnothersRequest(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	alice, mallory := signingtest.New(t), signingtest.New(t)
	first := asks(t, alice, func(r *request.Request) { r.Operator, r.Created = "alise", now().Add(-time.Minute) })
	w.expect(first, http.StatusAccepted, "")
	w.expect(asks(t, alice, named("alice")), http.StatusAccepted, "")
	w.expect(first, http.StatusAccepted, "") // played again
	want := []string{"alice " + string(alice.Public().Builder())}
	if diff := cmp.Diff(want, w.waiting()); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	// In another's hands it does not become that one's.
	stolen := asks(t, alice, named("alice"))
	stolen.Request = signed(t, mallory, payloadOf(t, stolen))
	w.expect(stolen, http.StatusForbidden, "bad-signature")
	old := asks(t, alice, func(r *request.Request) { r.Created = now().Add(-request.MaxAge - time.Minute) })
	w.expect(old, http.StatusBadRequest, "malformed")
}

func TestRequestToAnotherAggregator(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	a := w.expect(asks(t, signingtest.New(t), func(r *request.Request) { r.Origin = "other.example/log" }), http.StatusBadRequest, "malformed")
	if !strings.Contains(a.Detail, "meant for the ledger") {
		t.Errorf("told %q", a.Detail)
	}
}

func TestRequestForAKeyNotHeld(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	victim, mallory := signingtest.New(t), signingtest.New(t)
	d := asks(t, victim, named("mallory"))
	d.Request = signed(t, mallory, payloadOf(t, d))
	w.expect(d, http.StatusForbidden, "bad-signature")
	if got := w.waiting(); len(got) > 0 {
		t.Errorf("waiting: %v", got)
	}
}

// A key belongs to one operator for ever, and an operator's name to who had it
// first, unless a person says otherwise.
func TestKeyUnderTwoOperators(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	alice := w.enrol(enrolment.Enrolment{Operator: "alice"})
	bob := w.enrol(enrolment.Enrolment{Operator: "bob"})
	size := w.log.Size()
	if a := w.expect(asks(t, alice, named("bob")), http.StatusOK, ""); a.Operator != "alice" {
		t.Errorf("the key is %s's now", a.Operator)
	}
	w.expect(replaces(t, bob, alice, false), http.StatusConflict, "conflict")
	if w.log.Size() != size {
		t.Errorf("%d entries were written", w.log.Size()-size)
	}

	mallory := signingtest.New(t)
	w.expect(asks(t, mallory, named("alice")), http.StatusAccepted, "")
	approval := admin.Approval{Builder: string(mallory.Public().Builder())}
	if _, err := w.joining.Approve(t.Context(), approval); err == nil || !strings.Contains(err.Error(), "has builders already") {
		t.Errorf("who asks for another's name is enrolled under it: %v", err)
	}
	approval.Operator, approval.Tier = "alice", enrolment.Open
	if _, err := w.joining.Approve(t.Context(), approval); err == nil || !strings.Contains(err.Error(), "is in tier counted") {
		t.Errorf("an operator is in two tiers: %v", err)
	}
	approval.Operator, approval.Tier = "mallory", ""
	if _, err := w.joining.Approve(t.Context(), approval); err != nil {
		t.Error(err)
	}
}

func TestEndorsementByARevokedKey(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	older := w.enrol(enrolment.Enrolment{Operator: "alice"})
	w.revoke(older)
	w.expect(replaces(t, older, signingtest.New(t), false), http.StatusForbidden, "key-not-valid")
}

func TestEndorsementByAnExpiredKey(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	expired := w.enrol(enrolment.Enrolment{Operator: "alice", NotAfter: now().Add(-time.Minute)})
	early := w.enrol(enrolment.Enrolment{Operator: "bob", NotBefore: now().Add(time.Hour)})
	for _, older := range []*signing.Signer{expired, early} {
		w.expect(replaces(t, older, signingtest.New(t), false), http.StatusForbidden, "key-not-valid")
	}
}

// A revoked key cannot come back, neither by asking nor by another's word.
func TestRevokedKeyAsks(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	older, gone := w.enrol(enrolment.Enrolment{Operator: "alice"}), w.enrol(enrolment.Enrolment{Operator: "alice"})
	w.revoke(gone)
	w.expect(asks(t, gone, nil), http.StatusForbidden, "key-not-valid")
	w.expect(replaces(t, older, gone, false), http.StatusForbidden, "key-not-valid")
	if a := w.state(gone); a.State != api.Refused {
		t.Errorf("state %+v", a)
	}
}

// One operator can have keys without end, but not in the ledger, and they are one
// operator.
func TestAHundredKeysOfOneOperator(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	older := w.enrol(enrolment.Enrolment{Operator: "alice"})
	var asking sync.WaitGroup
	for range 99 {
		d := replaces(t, older, signingtest.New(t), false)
		asking.Go(func() {
			if _, problem := w.ask(d); problem != nil {
				t.Error(problem)
			}
		})
	}
	asking.Wait()
	if _, problem := w.ask(replaces(t, older, signingtest.New(t), false)); problem == nil || web.ProblemOf(problem).Kind() != api.ProblemTooManyKeys {
		t.Errorf("one more: %v", problem)
	}
	n := 0
	for b := range w.roster.All() {
		n++
		if b.Operator != "alice" || b.OperatorNumber != 0 {
			t.Errorf("builder %s is of operator %s", b.ID, b.Operator)
		}
	}
	if n != 100 {
		t.Errorf("%d builders, want 100", n)
	}
}

// ask sends a document past the limits of the HTTP server.
func (w *world) ask(d request.Document) (*api.Enrolment, error) {
	w.t.Helper()
	text, err := d.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.joining.Ask(w.t.Context(), text)
}

const issuer = "https://accounts.example.com"

// identities makes a policy that admits everybody at a mail provider, and returns
// the deployment that certifies them.
func identities(t *testing.T) (*sigstoretest.Sigstore, joining.Policy) {
	t.Helper()
	deployment := sigstoretest.New(t)
	root, err := sigstore.ParseTrustedRoot(deployment.TrustedRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	return deployment, joining.Policy{Root: root, Rules: []signing.IdentityRule{{Issuer: issuer, Subject: `^[a-z0-9]+@example\.com$`}}}
}

// identified is a document that an identity signed too.
func identified(t *testing.T, deployment *sigstoretest.Sigstore, signer *signing.Signer, subject string) request.Document {
	t.Helper()
	d := asks(t, signer, named("wanted"))
	d.Identity = deployment.Sign(t, signing.Identity{Issuer: issuer, Subject: subject}, payloadOf(t, d), sigstoretest.Job{})
	return d
}

// All keys of an identity are one operator, in tier open, and a person vouches for
// all of them at once.
func TestIdentityIsOneOperator(t *testing.T) {
	deployment, policy := identities(t)
	w := newWorld(t, policy)
	one, two, other := signingtest.New(t), signingtest.New(t), signingtest.New(t)
	operators := map[*signing.Signer]string{}
	for signer, subject := range map[*signing.Signer]string{one: "alice@example.com", two: "alice@example.com", other: "bob@example.com"} {
		a := w.expect(identified(t, deployment, signer, subject), http.StatusOK, "")
		if a.State != api.Enrolled || a.Tier != "open" || !strings.HasPrefix(a.Operator, "id-") || strings.Contains(a.Operator, "alice") {
			t.Errorf("answer %+v", a)
		}
		operators[signer] = a.Operator
	}
	if operators[one] != operators[two] || operators[one] == operators[other] {
		t.Errorf("operators %v", operators)
	}
	if _, err := w.joining.Vouch(t.Context(), string(two.Public().Builder())); err != nil {
		t.Fatal(err)
	}
	if w.builder(one).Tier != enrolment.Counted || w.builder(two).Tier != enrolment.Counted || w.builder(other).Tier != enrolment.Open {
		t.Error("vouching did not concern one operator as a whole")
	}
	three := signingtest.New(t)
	if a := w.expect(identified(t, deployment, three, "alice@example.com"), http.StatusOK, ""); a.Tier != "counted" || a.Operator != operators[one] {
		t.Errorf("a key of an operator that is vouched for: %+v", a)
	}
	// Whose keys were all revoked does not come back by bringing another.
	for _, signer := range []*signing.Signer{one, two, three} {
		w.revoke(signer)
	}
	w.expect(identified(t, deployment, signingtest.New(t), "alice@example.com"), http.StatusAccepted, "")
}

// Who signs without a key already is not a second operator by bringing one.
func TestIdentityThatIsABuilder(t *testing.T) {
	deployment, policy := identities(t)
	rule := signing.IdentityRule{Issuer: issuer, Subject: "https://ci.example.com/job"}
	policy.Rules = append(policy.Rules, rule)
	w := newWorld(t, policy)
	body, err := (&enrolment.Enrolment{
		Builder: enrolment.KeylessBuilder(rule), Operator: "project", Tier: enrolment.Counted,
		Keyless: &enrolment.Keyless{Rule: rule, TrustedRoot: attestation.Digest{1}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	index, err := w.log.Append(t.Context(), ledger.Enrolment, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.roster.Apply(index, ledger.Enrolment, body); err != nil {
		t.Fatal(err)
	}
	if a := w.expect(identified(t, deployment, signingtest.New(t), "https://ci.example.com/job"), http.StatusOK, ""); a.Operator != "project" {
		t.Errorf("answer %+v", a)
	}
	// Once that is revoked, a key does not bring it back.
	if _, err := w.ingest.Revoke(t.Context(), enrolment.KeylessBuilder(rule), nil, "the workflow was changed"); err != nil {
		t.Fatal(err)
	}
	w.expect(identified(t, deployment, signingtest.New(t), "https://ci.example.com/job"), http.StatusAccepted, "")
}

// A hundred free accounts are a hundred operators that weigh nothing.
func TestAHundredFreeAccountsOfOnePerson(t *testing.T) {
	deployment, policy := identities(t)
	w := newWorld(t, policy)
	var asking sync.WaitGroup
	for n := range 100 {
		d := identified(t, deployment, signingtest.New(t), fmt.Sprintf("free%d@example.com", n))
		asking.Go(func() {
			if _, problem := w.ask(d); problem != nil {
				t.Error(problem)
			}
		})
	}
	asking.Wait()
	operators := map[string]bool{}
	for b := range w.roster.All() {
		operators[b.Operator] = true
		if _, counted := w.roster.Counts(b.Number, w.log.Size()); counted {
			t.Errorf("builder %s counts", b.ID)
		}
	}
	if len(operators) != 100 {
		t.Errorf("%d operators", len(operators))
	}
}

// An identity that no rule admits, or that is not what it says, enrols nobody.
func TestIdentitiesThatAreNotAdmitted(t *testing.T) {
	deployment, policy := identities(t)
	w := newWorld(t, policy)
	lookalike := signingtest.New(t)
	w.expect(identified(t, deployment, lookalike, "alice@example.com.evil.example"), http.StatusAccepted, "")
	pending, err := w.joining.Pending(t.Context())
	if err != nil || len(pending) != 1 || !strings.Contains(pending[0].Identity, "evil.example") {
		t.Errorf("pending %+v, %v", pending, err)
	}
	w.expect(identified(t, sigstoretest.New(t), signingtest.New(t), "alice@example.com"), http.StatusForbidden, "bad-signature")

	// Mallory has the bundle of Alice's identity over Alice's request.
	theirs := identified(t, deployment, signingtest.New(t), "alice@example.com")
	mine := asks(t, signingtest.New(t), named("wanted"))
	mine.Identity = theirs.Identity
	w.expect(mine, http.StatusForbidden, "bad-signature")

	without := newWorld(t, joining.Policy{})
	without.expect(identified(t, deployment, signingtest.New(t), "alice@example.com"), http.StatusAccepted, "")
}

// A flood from one address does not keep others from asking, whatever it says in
// headers about where it comes from.
func TestFloodOfRequests(t *testing.T) {
	w := newWorld(t, joining.Policy{})
	send := func(remote string) int {
		text, err := (&request.Document{Request: []byte("{}")}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, api.EnrolmentsPath, strings.NewReader(string(text)))
		r.RemoteAddr = remote
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", time.Now().Nanosecond()%250))
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		return recorder.Code
	}
	flood := func(remote func(n int) string, n int) (taken int) {
		for i := range n {
			if send(remote(i)) != http.StatusTooManyRequests {
				taken++
			}
		}
		return taken
	}
	if taken := flood(func(int) string { return "198.51.100.7:1234" }, 60); taken < 20 || taken > 25 {
		t.Errorf("%d of 60 requests from one address were looked at", taken)
	}
	if taken := flood(func(n int) string { return fmt.Sprintf("[2001:db8::%x]:1", n) }, 60); taken < 20 || taken > 25 {
		t.Errorf("%d of 60 requests from one network were looked at", taken)
	}
	if send("203.0.113.9:1") == http.StatusTooManyRequests {
		t.Error("another address is kept from asking")
	}
	if taken := flood(func(n int) string { return fmt.Sprintf("203.0.113.%d:1", n) }, 250); taken > 70 {
		t.Errorf("%d of 250 requests from many addresses were looked at", taken)
	}
}
