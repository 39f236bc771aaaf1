package sigstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
	"repronet.dev/signing/sigstore/sigstoretest"
)

const (
	ciIssuer     = "https://token.actions.example.org"
	ciRepository = "https://github.com/org/repo"
	ciSubject    = ciRepository + "/.github/workflows/rebuild.yml@refs/heads/main"
)

var ciJob = signing.Identity{Issuer: ciIssuer, Subject: ciSubject, Repository: ciRepository}

func ciPayload(t *testing.T) []byte {
	t.Helper()
	return encode(t, statementOf(1))
}

func trust(t *testing.T, text []byte) *sigstore.TrustedRoot {
	t.Helper()
	root, err := sigstore.ParseTrustedRoot(text)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestOpenKeyless(t *testing.T) {
	deployment := sigstoretest.New(t)
	payload := ciPayload(t)
	bundle := deployment.Sign(t, ciJob, payload, sigstoretest.Job{})
	got, who, signedAt, err := trust(t, deployment.TrustedRoot(t)).OpenKeyless(bundle, attestation.PayloadType)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, payload) || who != ciJob {
		t.Errorf("got payload %s of %+v", got, who)
	}
	if age := time.Since(signedAt); age < 0 || age > time.Minute {
		t.Errorf("signed %v ago", age)
	}
	if _, _, _, err := trust(t, deployment.TrustedRoot(t)).OpenKeyless(bundle, "text/plain"); !errors.Is(err, signing.ErrMalformed) {
		t.Errorf("another payload type: %v", err)
	}
	person := signing.Identity{Issuer: "https://accounts.example.org", Subject: "alice@example.org"}
	_, who, _, err = trust(t, deployment.TrustedRoot(t)).OpenKeyless(deployment.Sign(t, person, payload, sigstoretest.Job{}), attestation.PayloadType)
	if err != nil || who != person {
		t.Errorf("a person: %+v, %v", who, err)
	}
}

// TestOpenKeylessRefuses holds what is wrong with a bundle whoever signed it.
func TestOpenKeylessRefuses(t *testing.T) {
	deployment, other := sigstoretest.New(t), sigstoretest.New(t)
	payload := ciPayload(t)
	good := deployment.Sign(t, ciJob, payload, sigstoretest.Job{})
	text := base64.StdEncoding.EncodeToString
	byKey, err := newSigner(t, signing.P256).SignPayload(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bundle []byte
		err    error
		says   string
	}{
		"another authority's certificate": {deployment.Sign(t, ciJob, payload, sigstoretest.Job{OtherCA: other}), signing.ErrSignature, "leaf certificate"},
		"another deployment's":            {other.Sign(t, ciJob, payload, sigstoretest.Job{}), signing.ErrSignature, ""},
		"no timestamp":                    {deployment.Sign(t, ciJob, payload, sigstoretest.Job{NoTimestamp: true}), signing.ErrSignature, "timestamps"},
		"another's timestamp":             {deployment.Sign(t, ciJob, payload, sigstoretest.Job{OtherTimestamp: other}), signing.ErrSignature, "timestamps"},
		"no log entry":                    {deployment.Sign(t, ciJob, payload, sigstoretest.Job{NoEntry: true}), signing.ErrSignature, "log entries"},
		"another log's entry":             {deployment.Sign(t, ciJob, payload, sigstoretest.Job{OtherEntry: other}), signing.ErrSignature, "log entries"},
		"certificate not logged":          {deployment.Sign(t, ciJob, payload, sigstoretest.Job{NoSCT: true}), signing.ErrSignature, "SCT"},
		"expired when it signed":          {deployment.Sign(t, ciJob, payload, sigstoretest.Job{NotBefore: time.Now().Add(-time.Hour)}), signing.ErrSignature, "leaf certificate"},
		"not valid yet when it signed":    {deployment.Sign(t, ciJob, payload, sigstoretest.Job{NotBefore: time.Now().Add(time.Hour)}), signing.ErrSignature, "leaf certificate"},
		"tampered payload": {
			bytes.Replace(good, []byte(text(payload)), []byte(text(bytes.Replace(payload, []byte("hello"), []byte("jello"), 1))), 1),
			signing.ErrSignature, "",
		},
		"a key": {byKey, signing.ErrMalformed, "it names a key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := trust(t, deployment.TrustedRoot(t)).OpenKeyless(c.bundle, attestation.PayloadType)
			if !errors.Is(err, c.err) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v, want %v with %q", err, c.err, c.says)
			}
		})
	}
}

// TestOpenKeylessDemandsWhatTheRootHas: a root without a log accepts a bundle
// without an entry, and so on.
func TestOpenKeylessDemandsWhatTheRootHas(t *testing.T) {
	deployment := sigstoretest.New(t)
	payload := ciPayload(t)
	for part, job := range map[sigstoretest.Part]sigstoretest.Job{
		sigstoretest.Log: {NoEntry: true}, sigstoretest.CertificateLog: {NoSCT: true},
	} {
		bundle := deployment.Sign(t, ciJob, payload, job)
		if _, _, _, err := trust(t, deployment.TrustedRoot(t, part)).OpenKeyless(bundle, attestation.PayloadType); err != nil {
			t.Errorf("part %d: %v", part, err)
		}
	}
	// An inclusion proof of Rekor's second version says nothing about the time.
	bundle := deployment.Sign(t, ciJob, payload, sigstoretest.Job{})
	if _, _, _, err := trust(t, deployment.TrustedRoot(t, sigstoretest.Timestamps)).OpenKeyless(bundle, attestation.PayloadType); !errors.Is(err, signing.ErrSignature) {
		t.Errorf("nobody said when it was signed, and yet: %v", err)
	}
}

func TestParseTrustedRootRefuses(t *testing.T) {
	deployment := sigstoretest.New(t)
	for says, text := range map[string][]byte{
		"names no certificate authority":  deployment.TrustedRoot(t, sigstoretest.CertificateAuthority),
		"neither a timestamp authority":   deployment.TrustedRoot(t, sigstoretest.Timestamps, sigstoretest.Log),
		"unsupported TrustedRoot":         []byte(`{}`),
		"at most":                         make([]byte, sigstore.MaxTrustedRootSize+1),
		"parsing trusted root":            []byte(`[]`),
		"unexpected token null":           []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{"certChain":{"certificates":[null]}}]}`),
		"failed to parse certificate for": []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{"certChain":{"certificates":[{}]}}]}`),
	} {
		if _, err := sigstore.ParseTrustedRoot(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func TestIdentityRules(t *testing.T) {
	exact := signing.IdentityRule{Issuer: ciIssuer, Subject: ciSubject}
	pattern := signing.IdentityRule{Issuer: ciIssuer, Subject: `^https://github\.com/org/repo/\.github/workflows/[a-z]+\.yml@refs/heads/main$`, Repository: ciRepository}
	either := signing.IdentityRule{Issuer: ciIssuer, Subject: `^` + `https://github\.com/org/repo/a@b|` + `https://github\.com/org/repo/c@d$`}
	for _, c := range []struct {
		name string
		rule signing.IdentityRule
		who  signing.Identity
		want bool
	}{
		{"exact", exact, ciJob, true},
		{"pattern", pattern, ciJob, true},
		{"another issuer", exact, signing.Identity{Issuer: ciIssuer + ".evil.example", Subject: ciSubject}, false},
		{"issuer with a slash", exact, signing.Identity{Issuer: ciIssuer + "/", Subject: ciSubject}, false},
		{"lookalike repository", pattern, signing.Identity{Issuer: ciIssuer, Subject: strings.Replace(ciSubject, "org/repo", "org/repo.evil", 1), Repository: ciRepository}, false},
		{"prefix", pattern, signing.Identity{Issuer: ciIssuer, Subject: "https://evil.example/" + ciSubject, Repository: ciRepository}, false},
		{"suffix", pattern, signing.Identity{Issuer: ciIssuer, Subject: ciSubject + "-evil", Repository: ciRepository}, false},
		{"suffix after a line's end", pattern, signing.Identity{Issuer: ciIssuer, Subject: ciSubject + "\nevil", Repository: ciRepository}, false},
		{"line's end", pattern, signing.Identity{Issuer: ciIssuer, Subject: ciSubject + "\n", Repository: ciRepository}, false},
		{"a dot is a dot", exact, signing.Identity{Issuer: ciIssuer, Subject: strings.Replace(ciSubject, "github.com", "githubXcom", 1)}, false},
		{"prefix of exact", exact, signing.Identity{Issuer: ciIssuer, Subject: "x" + ciSubject}, false},
		{"suffix of exact", exact, signing.Identity{Issuer: ciIssuer, Subject: ciSubject + "x"}, false},
		{"another repository", pattern, signing.Identity{Issuer: ciIssuer, Subject: ciSubject, Repository: "https://github.com/evil/repo"}, false},
		{"no repository", pattern, signing.Identity{Issuer: ciIssuer, Subject: ciSubject}, false},
		{"first of two", either, signing.Identity{Issuer: ciIssuer, Subject: "https://github.com/org/repo/a@b"}, true},
		{"first of two with more", either, signing.Identity{Issuer: ciIssuer, Subject: "https://github.com/org/repo/a@b.evil"}, false},
		{"second of two with more", either, signing.Identity{Issuer: ciIssuer, Subject: "evil https://github.com/org/repo/c@d"}, false},
	} {
		if got := c.rule.Matches(c.who); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for name, rule := range map[string]signing.IdentityRule{
		"no issuer":                 {Subject: ciSubject},
		"no subject":                {Issuer: ciIssuer},
		"issuer that is no URL":     {Issuer: "github", Subject: ciSubject},
		"half anchored":             {Issuer: ciIssuer, Subject: "^https://github.com/org/.*"},
		"other half":                {Issuer: ciIssuer, Subject: "https://github.com/org/.*$"},
		"no expression":             {Issuer: ciIssuer, Subject: "^($"},
		"out of the parentheses":    {Issuer: ciIssuer, Subject: "^a)|(?:.*$"},
		"long":                      {Issuer: ciIssuer, Subject: strings.Repeat("a", signing.MaxIdentity+1)},
		"control characters":        {Issuer: ciIssuer, Subject: "a\x00b"},
		"repository of many lines":  {Issuer: ciIssuer, Subject: ciSubject, Repository: "a\nb"},
		"expression with new lines": {Issuer: ciIssuer, Subject: "^a\nb$"},
	} {
		if err := rule.Validate(); err == nil || rule.Matches(signing.Identity(rule)) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOpenAny(t *testing.T) {
	deployment := sigstoretest.New(t)
	root := trust(t, deployment.TrustedRoot(t))
	rule := signing.IdentityRule{Issuer: ciIssuer, Subject: ciSubject, Repository: ciRepository}
	enrolled := sigstore.Keyless{Builder: signing.NewBuilderID("sigstore: a test"), Root: root}
	keyless := func(_ context.Context, who signing.Identity) (sigstore.Keyless, error) {
		if !rule.Matches(who) {
			return sigstore.Keyless{}, signing.ErrUnknownBuilder
		}
		return enrolled, nil
	}
	nobody := func(signing.BuilderID) (signing.Key, error) { return signing.Key{}, signing.ErrUnknownBuilder }
	open := func(bundle []byte, at time.Time) (*sigstore.Verified, error) {
		return sigstore.OpenAny(t.Context(), bundle, nobody, keyless, at)
	}
	payload := ciPayload(t)
	bundle := deployment.Sign(t, ciJob, payload, sigstoretest.Job{})
	v, err := open(bundle, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if v.Builder() != enrolled.Builder || !bytes.Equal(v.Payload(), payload) || !bytes.Equal(v.Bundle(), bundle) || v.Statement().Subjects[0].Name == "" {
		t.Errorf("got %+v", v)
	}
	// When it is received says nothing about when it was signed.
	if _, err := open(bundle, time.Now().Add(1000*time.Hour)); err != nil {
		t.Errorf("received later: %v", err)
	}
	enrolled.NotAfter = time.Now().Add(-time.Hour)
	if _, err := open(bundle, time.Now()); !errors.Is(err, signing.ErrKeyNotValid) {
		t.Errorf("enrolled until an hour ago: %v", err)
	}
	enrolled.NotAfter = time.Time{}

	stranger := ciJob
	stranger.Subject = strings.Replace(ciSubject, "org/repo", "org/repo.evil", 1)
	if _, err := open(deployment.Sign(t, stranger, payload, sigstoretest.Job{}), time.Now()); !errors.Is(err, signing.ErrUnknownBuilder) {
		t.Errorf("lookalike: %v", err)
	}
	if _, err := open(deployment.Sign(t, ciJob, payload, sigstoretest.Job{OtherCA: sigstoretest.New(t)}), time.Now()); !errors.Is(err, signing.ErrSignature) {
		t.Errorf("a certificate of another authority: %v", err)
	}
	withStream := statementOf(1)
	withStream.Chain = attestation.Chain{Stream: strings.Repeat("ab", 16)}
	streamed := encode(t, withStream)
	if _, err := open(deployment.Sign(t, ciJob, streamed, sigstoretest.Job{}), time.Now()); !errors.Is(err, signing.ErrMalformed) {
		t.Errorf("a stream: %v", err)
	}
	unavailable := errors.New("the attachment cannot be had now")
	_, err = sigstore.OpenAny(t.Context(), bundle, nobody, func(context.Context, signing.Identity) (sigstore.Keyless, error) {
		return sigstore.Keyless{}, unavailable
	}, time.Now())
	if !errors.Is(err, unavailable) {
		t.Errorf("no trusted root: %v", err)
	}
}

// FuzzOpenKeyless: what strangers send as a job's bundle is refused in one of the
// ways that callers know, whatever it is.
func FuzzOpenKeyless(f *testing.F) {
	deployment := sigstoretest.New(f)
	root, err := sigstore.ParseTrustedRoot(deployment.TrustedRoot(f))
	if err != nil {
		f.Fatal(err)
	}
	payload := encode(f, statementOf(1))
	good := deployment.Sign(f, ciJob, payload, sigstoretest.Job{})
	f.Add(good)
	for _, job := range []sigstoretest.Job{{NoEntry: true}, {NoSCT: true}, {NoTimestamp: true}} {
		f.Add(deployment.Sign(f, ciJob, payload, job))
	}
	nobody := func(signing.BuilderID) (signing.Key, error) { return signing.Key{}, signing.ErrUnknownBuilder }
	anybody := func(context.Context, signing.Identity) (sigstore.Keyless, error) {
		return sigstore.Keyless{Builder: "anybody", Root: root}, nil
	}
	f.Fuzz(func(t *testing.T, bundle []byte) {
		v, err := sigstore.OpenAny(t.Context(), bundle, nobody, anybody, time.Now())
		if err != nil {
			if !sigstore.IsRefusal(err) {
				t.Errorf("not a refusal: %v", err)
			}
			return
		}
		if !bytes.Equal(v.Payload(), payload) {
			t.Errorf("verified what nobody signed: %s", v.Payload())
		}
	})
}

// FuzzParseTrustedRoot: a trusted root comes from an aggregator that nobody trusts.
func FuzzParseTrustedRoot(f *testing.F) {
	deployment := sigstoretest.New(f)
	f.Add(deployment.TrustedRoot(f))
	f.Add(deployment.TrustedRoot(f, sigstoretest.Timestamps))
	bundle := deployment.Sign(f, ciJob, encode(f, statementOf(1)), sigstoretest.Job{})
	f.Fuzz(func(_ *testing.T, text []byte) {
		if root, err := sigstore.ParseTrustedRoot(text); err == nil {
			_, _, _, _ = root.OpenKeyless(bundle, attestation.PayloadType) // must only not panic
		}
	})
}
