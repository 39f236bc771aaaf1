package enrolment_test

import (
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/published"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

const ciIssuer = "https://token.actions.example.org"

// ci is the enrolment of the jobs that a subject names.
func ci(subject, operator string) *enrolment.Enrolment {
	rule := signing.IdentityRule{Issuer: ciIssuer, Subject: subject, Repository: "https://github.com/org/repo"}
	return &enrolment.Enrolment{
		Builder: enrolment.KeylessBuilder(rule), Operator: operator, Tier: enrolment.Counted,
		Keyless: &enrolment.Keyless{Rule: rule, TrustedRoot: attestation.Digest{1}},
	}
}

func job(subject string) signing.Identity {
	return signing.Identity{Issuer: ciIssuer, Subject: subject, Repository: "https://github.com/org/repo"}
}

// TestKeylessRoster: of several rules that match, the first that is not revoked
// holds, whoever asks.
func TestKeylessRoster(t *testing.T) {
	h := newHistory(t)
	apply := func(document interface{ Encode() ([]byte, error) }) {
		t.Helper()
		if _, _, err := h.apply(document); err != nil {
			t.Fatal(err)
		}
	}
	all, main := ci("^https://ci.example/wf@.*$", "everybody"), ci("https://ci.example/wf@main", "main")
	apply(enrol(t, 1, "alice", enrolment.Counted))
	apply(all)
	apply(main)
	operator := func(who signing.Identity) string {
		t.Helper()
		b, ok := h.roster.Keyless(who)
		switch {
		case !ok:
			return "nobody"
		case b.Revoked:
			return "revoked " + b.Operator
		default:
			return b.Operator
		}
	}
	want := func(who signing.Identity, want string) {
		t.Helper()
		if got := operator(who); got != want {
			t.Errorf("%v is %s, want %s", who, got, want)
		}
	}
	want(job("https://ci.example/wf@main"), "everybody")
	want(job("https://ci.example/wf@next"), "everybody")
	want(job("evil https://ci.example/wf@main"), "nobody")
	stranger := job("https://ci.example/wf@main")
	stranger.Issuer = "https://evil.example"
	want(stranger, "nobody")
	// Another trusted root, and no other rule: the number stays.
	renewed := ci("^https://ci.example/wf@.*$", "everybody")
	renewed.Keyless.TrustedRoot = attestation.Digest{2}
	apply(renewed)
	if b, _ := h.roster.Keyless(job("https://ci.example/wf@main")); b.Keyless.TrustedRoot != renewed.Keyless.TrustedRoot || b.Number != 1 {
		t.Errorf("after renewal: %+v", b)
	}
	apply(&enrolment.Revocation{Builder: all.Builder, From: enrolment.FromNow})
	want(job("https://ci.example/wf@main"), "main")
	want(job("https://ci.example/wf@next"), "revoked everybody")
	if list := published.Builders(h.roster); list[1].Keyless == nil || list[1].Keyless.Subject != "^https://ci.example/wf@.*$" || list[0].Keyless != nil {
		t.Errorf("published: %+v", list)
	}
}

func TestKeylessEnrolmentRefuses(t *testing.T) {
	good, err := ci("https://ci.example/wf@main", "org").Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := enrolment.ParseEnrolment(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*enrolment.Enrolment){
		"a person's address": func(e *enrolment.Enrolment) {
			e.Keyless.Rule.Subject = "^alice@example\\.org$"
			e.Builder = enrolment.KeylessBuilder(e.Keyless.Rule)
		},
		"another rule's builder":    func(e *enrolment.Enrolment) { e.Keyless.Rule.Subject = "https://ci.example/wf@next" },
		"another repository's":      func(e *enrolment.Enrolment) { e.Keyless.Rule.Repository = "" },
		"no trusted root":           func(e *enrolment.Enrolment) { e.Keyless.TrustedRoot = attestation.Digest{} },
		"a key as well":             func(e *enrolment.Enrolment) { e.PublicKey = key(t, 1).DER() },
		"a name for narinfo":        func(e *enrolment.Enrolment) { e.NixName = "cache-1" },
		"endorsed":                  func(e *enrolment.Enrolment) { e.Replaces = key(t, 1).Builder() },
		"a period that ends before": func(e *enrolment.Enrolment) { e.NotBefore, e.NotAfter = time.Unix(2, 0), time.Unix(1, 0) },
		"half a pattern": func(e *enrolment.Enrolment) {
			e.Keyless.Rule.Subject = "^wf"
			e.Builder = enrolment.KeylessBuilder(e.Keyless.Rule)
		},
	} {
		e := ci("https://ci.example/wf@main", "org")
		change(e)
		if _, err := e.Encode(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	hidden := strings.Replace(string(good), `"rule":{`, `"rule":{"subject":"https://ci.example/wf@main",`, 1)
	if err := enrolment.NewRoster().Check(ledger.Enrolment, []byte(hidden)); err == nil {
		t.Error("a subject twice: accepted")
	}
}

// TestKeylessBuildersDiffer: no two rules are one builder.
func TestKeylessBuildersDiffer(t *testing.T) {
	seen := map[signing.BuilderID]signing.IdentityRule{}
	for _, rule := range []signing.IdentityRule{
		{Issuer: "a", Subject: "b", Repository: "c"},
		{Issuer: "a", Subject: "bc"},
		{Issuer: "ab", Subject: "c"},
		{Issuer: "a", Subject: "b"},
		{Issuer: "a", Subject: "", Repository: "b"},
	} {
		id := enrolment.KeylessBuilder(rule)
		if other, ok := seen[id]; ok {
			t.Errorf("%+v and %+v are one builder", rule, other)
		}
		seen[id] = rule
	}
}
