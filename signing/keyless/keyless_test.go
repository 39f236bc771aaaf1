package keyless_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/signing"
	"repronet.dev/signing/keyless"
	"repronet.dev/signing/sigstore"
	"repronet.dev/signing/sigstore/sigstoretest"
)

var job = signing.Identity{
	Issuer: "https://token.actions.example.org", Repository: "https://github.com/org/repo",
	Subject: "https://github.com/org/repo/.github/workflows/rebuild.yml@refs/heads/main",
}

// noToken takes the identity tokens of whoever runs the test away.
func noToken(t *testing.T) {
	t.Helper()
	for _, name := range []string{"SIGSTORE_ID_TOKEN", "SIGSTORE_ID_TOKEN_FILE", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		t.Setenv(name, "")
	}
}

func load(t *testing.T, config string) *keyless.Signer {
	t.Helper()
	s, err := keyless.Load("sigstore:"+config, &http.Client{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSignPayload(t *testing.T) {
	deployment := sigstoretest.New(t)
	root, err := sigstore.ParseTrustedRoot(deployment.TrustedRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	config := deployment.Serve(t)
	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.FormValue("audience") != "sigstore" || r.FormValue("job") != "1" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"count":1,"value":"` + sigstoretest.Token(job) + `"}`))
	}))
	t.Cleanup(actions.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(sigstoretest.Token(job)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00"}}],"predicateType":"x","predicate":{}}`)
	for name, environment := range map[string]map[string]string{
		"token":          {"SIGSTORE_ID_TOKEN": sigstoretest.Token(job)},
		"file":           {"SIGSTORE_ID_TOKEN_FILE": file},
		"GitHub Actions": {"ACTIONS_ID_TOKEN_REQUEST_URL": actions.URL + "/?job=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			noToken(t)
			for variable, value := range environment {
				t.Setenv(variable, value)
			}
			signer := load(t, config)
			for range 2 { // the second with the same certificate
				bundle, err := signer.SignPayload(t.Context(), payload)
				if err != nil {
					t.Fatal(err)
				}
				got, who, _, err := root.OpenKeyless(bundle, attestation.PayloadType)
				if err != nil || who != job || !bytes.Equal(got, payload) {
					t.Fatalf("signed %s as %v: %v", got, who, err)
				}
				noToken(t)
			}
		})
	}
}

func TestSignPayloadRefuses(t *testing.T) {
	deployment := sigstoretest.New(t)
	config := deployment.Serve(t)
	for name, c := range map[string]struct{ token, says string }{
		"no token":          {"", `"id-token: write"`},
		"no JSON Web Token": {"secret", "no JSON Web Token"},
		"no subject":        {sigstoretest.Token(signing.Identity{}), "names no subject"},
	} {
		t.Run(name, func(t *testing.T) {
			noToken(t)
			t.Setenv("SIGSTORE_ID_TOKEN", c.token)
			_, err := load(t, config).SignPayload(t.Context(), nil)
			if err == nil || !strings.Contains(err.Error(), c.says) || c.token != "" && strings.Contains(err.Error(), c.token) {
				t.Errorf("got %v, want %q and not the token", err, c.says)
			}
		})
	}
}

// TestHostileServices: whatever the services answer is an error, and bounded.
func TestHostileServices(t *testing.T) {
	noToken(t)
	t.Setenv("SIGSTORE_ID_TOKEN", sigstoretest.Token(job))
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"failure":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no quota", http.StatusTooManyRequests) }, "429 Too Many Requests: \"no quota"},
		"nothing":  {func(http.ResponseWriter, *http.Request) {}, "asking for a certificate"},
		"no chain": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }, "the answer has none"},
		"no PEM": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}`))
		}, "none that can be read"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					return
				}
			}
		}, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			_, err := load(t, services(t, server.URL, "2020-01-01T00:00:00Z", "")).SignPayload(t.Context(), nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestRedirectElsewhere: neither an identity token nor what an authority is asked is sent
// to a host that a redirect names.
func TestRedirectElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was asked for %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	for name, environment := range map[string]map[string]string{
		"an authority":   {"SIGSTORE_ID_TOKEN": sigstoretest.Token(job)},
		"GitHub Actions": {"ACTIONS_ID_TOKEN_REQUEST_URL": server.URL + "/token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"},
	} {
		noToken(t)
		for variable, value := range environment {
			t.Setenv(variable, value)
		}
		_, err := load(t, services(t, server.URL, "2020-01-01T00:00:00Z", "")).SignPayload(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "another host") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func services(t *testing.T, url, start, end string) string {
	t.Helper()
	valid := `"validFor":{"start":"` + start + `"`
	if end != "" {
		valid += `,"end":"` + end + `"`
	}
	service := `[{"url":"` + url + `","majorApiVersion":1,` + valid + `}}]`
	return config(t, `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":`+service+`,"tsaUrls":`+service+`}`)
}

func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signing_config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// defaultConfig is in the form of the public Sigstore's own file.
const defaultConfig = `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",
"caUrls":[{"url":"https://ca.test","majorApiVersion":1,"validFor":{"start":"2022-01-01T00:00:00Z"},"operator":"test"}],
"tsaUrls":[{"url":"https://tsa.test","majorApiVersion":1,"validFor":{"start":"2025-01-01T00:00:00Z"},"operator":"test"}],
"rekorTlogUrls":[{"url":"https://rekor.test","majorApiVersion":1,"validFor":{"start":"2021-01-01T00:00:00Z"},"operator":"test"}],
"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`

func TestLoadRefuses(t *testing.T) {
	for says, reference := range map[string]string{
		"is not sigstore:FILE":   "sigstore:",
		"no such file":           "sigstore:" + filepath.Join(t.TempDir(), "missing"),
		"names no certificate":   "sigstore:" + services(t, "https://fulcio.test", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"),
		"authority that is in":   "sigstore:" + services(t, "https://fulcio.test", "2120-01-01T00:00:00Z", ""),
		"only the format v0.2":   "sigstore:" + config(t, `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.1+json","caUrl":"https://ca.test"}`),
		"version 2 of Rekor's":   "sigstore:" + config(t, defaultConfig),
		"is no https:// address": "sigstore:" + services(t, "ftp://fulcio.test", "2020-01-01T00:00:00Z", ""),
	} {
		if _, err := keyless.Load(reference, http.DefaultClient); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", reference, err, says)
		}
	}
}
