package submit_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reporter/submit"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

func bundle(t *testing.T, signer *signing.Signer, n int) submit.Bundle {
	t.Helper()
	name := fmt.Sprintf("/nix/store/%032d-package", n)
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{{Name: name, Digest: attestation.Digest{1, byte(n)}}},
		Builds:   []attestation.Build{{Name: name + ".drv", Outputs: []int{0}, Finished: time.Now().UTC().Truncate(time.Second), Occasion: attestation.OccasionBuild}},
	}
	text, err := signer.Sign(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := signing.Peek(text)
	if err != nil {
		t.Fatal(err)
	}
	return submit.Bundle{JSON: text, Payload: payload}
}

func payloadOf(t *testing.T, text []byte) []byte {
	t.Helper()
	parsed, err := signing.ParseBundle(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Payload
}

func setUp(t *testing.T) (*submittest.Aggregator, *signing.Signer, *submit.Client) {
	t.Helper()
	a, signer := submittest.New(t), signingtest.New(t)
	a.Enrol(signer.Public())
	key, err := note.NewVerifier(a.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	return a, signer, &submit.Client{API: &api.Client{HTTP: http.DefaultClient, Base: a.URL}, LogKey: key}
}

func TestSubmit(t *testing.T) {
	a, signer, client := setUp(t)
	var bundles []submit.Bundle
	for n := range 250 {
		bundles = append(bundles, bundle(t, signer, n))
	}
	for range 2 { // the second time they are duplicates
		answers, err := client.Submit(t.Context(), bundles)
		if err != nil || len(answers) != len(bundles) {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		for i, answer := range answers {
			if answer.Receipt == nil || answer.Receipt.Index != uint64(i) {
				t.Errorf("answer %d: %+v", i, answer)
			}
		}
	}
	if got := a.Requests(); got != 6 {
		t.Errorf("%d requests, want 3 each time", got)
	}
	if got := len(a.Statements()); got != 250 {
		t.Errorf("%d statements in the log, want 250", got)
	}
}

// No answer that is not proven counts.
func TestLyingReceipts(t *testing.T) {
	a, signer, client := setUp(t)
	other := signingtest.New(t)
	a.Enrol(other.Public())
	foreign := bundle(t, other, 100)
	if answers, err := client.Submit(t.Context(), []submit.Bundle{foreign}); err != nil || answers[0].Receipt == nil {
		t.Fatalf("%+v, %v", answers, err)
	}
	earlier := bundle(t, signer, 101)
	if answers, err := client.Submit(t.Context(), []submit.Bundle{earlier}); err != nil || answers[0].Receipt == nil {
		t.Fatalf("%+v, %v", answers, err)
	}
	enrolment, err := a.Append(t.Context(), ledger.Enrolment, earlier.JSON)
	if err != nil {
		t.Fatal(err)
	}
	receipt := func(index uint64) *ledger.Receipt {
		r, err := a.Receipt(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// Another builder's signature under this builder's very statement.
	copied := bundle(t, signer, 103)
	theirCopy, err := other.SignPayload(t.Context(), payloadOf(t, copied.JSON))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := client.Submit(t.Context(), []submit.Bundle{{JSON: theirCopy, Payload: copied.Payload}})
	if err != nil || answers[0].Receipt == nil {
		t.Fatalf("%+v, %v", answers, err)
	}
	byOtherBuilder := answers[0].Receipt
	forger := submittest.New(t)
	forger.Enrol(signer.Public())
	forged := bundle(t, signer, 102)
	forging := *client
	forging.API = &api.Client{HTTP: client.API.HTTP, Base: forger.URL}
	forging.LogKey, _ = note.NewVerifier(forger.LogKey)
	answers, err = forging.Submit(t.Context(), []submit.Bundle{forged})
	if err != nil || answers[0].Receipt == nil {
		t.Fatalf("%+v, %v", answers, err)
	}
	byOtherKey := answers[0].Receipt

	honest := bundle(t, signer, 1)
	tests := []struct {
		name string
		lie  func(*api.Result)
		send submit.Bundle
		want string
	}{
		{"another log's key", func(r *api.Result) { r.Receipt = byOtherKey }, forged, "verifying receipt"},
		{"another index", func(r *api.Result) { r.Receipt.Index-- }, honest, "is not in the tree"},
		{"beyond the tree", func(r *api.Result) { r.Receipt.Index += 1000 }, honest, "is not in a tree"},
		{"our earlier statement", func(r *api.Result) { r.Receipt = receipt(1) }, honest, "another statement"},
		{"another builder's", func(r *api.Result) { r.Receipt = receipt(0) }, honest, "another statement"},
		{"another builder's, same statement", func(r *api.Result) { r.Receipt = byOtherBuilder }, copied, "another statement"},
		{"another kind", func(r *api.Result) { r.Receipt = receipt(enrolment) }, earlier, "kind enrolment"},
		{"another entry", func(r *api.Result) { r.Receipt.Entry = receipt(1).Entry }, honest, "is not in the tree"},
		{"no proof", func(r *api.Result) { r.Receipt.Proof = nil }, honest, "verifying receipt"},
		{"no checkpoint", func(r *api.Result) { r.Receipt.Checkpoint = "" }, honest, "verifying receipt"},
		{"nothing", func(r *api.Result) { r.Receipt = nil }, honest, "exactly one"},
		{"both", func(r *api.Result) { r.Problem = api.NewProblem(api.ProblemMalformed, "y") }, honest, "exactly one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.Lie(func(_ []byte, r *api.Result) { tt.lie(r) })
			defer a.Lie(nil)
			answers, err := client.Submit(t.Context(), []submit.Bundle{tt.send})
			if err != nil || len(answers) != 1 {
				t.Fatalf("%+v, %v", answers, err)
			}
			if answers[0].Receipt != nil || answers[0].Err == nil || !strings.Contains(answers[0].Err.Error(), tt.want) {
				t.Errorf("answer %+v, want an error with %q", answers[0], tt.want)
			}
		})
	}
}

// Only an aggregator's word about a bundle costs the bundle.
func TestFaults(t *testing.T) {
	page := func(status int, contentType string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, `{"title":"x"}`)
			return true
		}
	}
	refuse := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "7")
			submittest.Refuse(w, status, "x", "y")
			return true
		}
	}
	tests := []struct {
		name    string
		fault   func(http.ResponseWriter, *http.Request) bool
		problem int           // of each bundle; else a RetryError
		after   time.Duration // of the RetryError
	}{
		{name: "malformed", fault: refuse(400), problem: 400},
		{name: "too large", fault: refuse(413), problem: 413},
		{name: "unauthorised", fault: refuse(401), after: 7 * time.Second},
		{name: "not found", fault: refuse(404), after: 7 * time.Second},
		{name: "slow down", fault: refuse(429), after: 7 * time.Second},
		{name: "later", fault: refuse(503), after: 7 * time.Second},
		{name: "a proxy's page", fault: page(400, "text/html")},
		{name: "a proxy's JSON", fault: page(413, "application/json")},
		{name: "another server", fault: page(200, "text/html")},
		{name: "no lines", fault: page(200, "application/jsonl")},
		{name: "torn", fault: submittest.Tear},
		{name: "endless line", fault: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", api.LinesType)
			for range 1000 {
				if _, err := fmt.Fprint(w, strings.Repeat("x", 1000)); err != nil {
					break
				}
			}
			return true
		}},
	}
	a, signer, client := setUp(t)
	bundles := []submit.Bundle{bundle(t, signer, 1), bundle(t, signer, 2), bundle(t, signer, 3)}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.Fail(tt.fault)
			answers, err := client.Submit(t.Context(), bundles)
			if tt.problem != 0 {
				if err != nil || len(answers) != 3 {
					t.Fatalf("%+v, %v", answers, err)
				}
				for _, answer := range answers {
					if answer.Problem == nil || answer.Problem.Status != tt.problem {
						t.Errorf("answer %+v, want a problem %d", answer, tt.problem)
					}
				}
				return
			}
			for _, answer := range answers {
				if answer.Receipt != nil || answer.Problem != nil {
					t.Errorf("answer %+v decides", answer)
				}
			}
			if len(answers) == 3 {
				return // each is an error
			}
			retry, ok := errors.AsType[*submit.RetryError](err)
			if !ok || retry.After != tt.after {
				t.Errorf("error %v, want to retry after %v", err, tt.after)
			}
		})
	}
	if n := len(a.Statements()); n != 0 {
		t.Errorf("%d statements in the log", n)
	}
}

// An aggregator that takes smaller requests only gets them.
func TestSplitsLargeRequests(t *testing.T) {
	a, signer, client := setUp(t)
	a.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength > 2000 {
			submittest.Refuse(w, http.StatusRequestEntityTooLarge, "too-large", "at most 2000 bytes")
			return true
		}
		return false
	})
	var bundles []submit.Bundle
	for n := range 20 {
		bundles = append(bundles, bundle(t, signer, n))
	}
	answers, err := client.Submit(t.Context(), bundles)
	if err != nil || len(answers) != 20 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, answer := range answers {
		if answer.Receipt == nil {
			t.Errorf("answer %d: %+v", i, answer)
		}
	}
}

// What was proven before an answer broke off counts.
func TestTornAnswer(t *testing.T) {
	a, signer, client := setUp(t)
	bundles := []submit.Bundle{bundle(t, signer, 1), bundle(t, signer, 2)}
	a.Lie(func(_ []byte, r *api.Result) {
		if r.Receipt.Index == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	answers, err := client.Submit(t.Context(), bundles)
	if _, ok := errors.AsType[*submit.RetryError](err); !ok {
		t.Errorf("error %v, want one to retry after", err)
	}
	if len(answers) != 1 || answers[0].Receipt == nil {
		t.Errorf("answers %+v, want the first", answers)
	}
}
