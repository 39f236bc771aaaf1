package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore/sigstoretest"
)

// anotherAsks has another builder ask to be enrolled.
func (d *documents) anotherAsks() {
	dir := filepath.Join(d.shell.dir, "erin")
	r := d.shell.run(d.t, "repronet-reporter init --dir "+dir+" --aggregator "+d.server.URL+" --operator erin --report all --consent-cc0 && repronet-reporter enrol --dir "+dir+" && repronet-reporter status --json --dir "+dir+" > erin.json")
	text, err := os.ReadFile(filepath.Join(d.shell.dir, "erin.json"))
	var status struct{ Builder string }
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		d.t.Fatalf("%v: %s", err, r.said())
	}
	d.names["BUILDER"] = status.Builder
}

// enrolOpen enrols a builder whom nobody vouches for yet.
func (d *documents) enrolOpen() {
	public := signingtest.New(d.t).Public()
	file := filepath.Join(d.shell.dir, "frank.pem")
	d.write(file, string(public.PEM()))
	d.command("builders enrol", "--key", file, "--operator", "frank", "--tier", "open")
	d.names["OPERATOR"], d.names["FRANK"] = "frank", string(public.Builder())
}

func (d *documents) nameFrank() { d.names["BUILDER"] = d.names["FRANK"] }

// signRequest has an identity that is admitted sign what alice asks, which is what a
// Sigstore client does.
func (d *documents) signRequest() {
	request, err := os.ReadFile(filepath.Join(d.shell.dir, "request.json"))
	if err != nil {
		d.t.Fatal(err)
	}
	who := signing.Identity{Issuer: "https://github.com/login/oauth", Subject: "alice@users.noreply.github.com"}
	d.write(filepath.Join(d.shell.dir, "identity.json"), string(d.sigstore.Sign(d.t, who, request, sigstoretest.Job{})))
}

// startJob has the shell be a job of GitHub Actions, of the workflow that
// docs/operators.md enrols.
func (d *documents) startJob() {
	d.freshHome()
	d.writeMakefile()
	config, err := os.ReadFile(d.sigstore.Serve(d.t))
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(filepath.Join(d.shell.dir, "signing_config.json"), string(config))
	const repository = "https://github.com/org/repo"
	token := sigstoretest.Token(signing.Identity{
		Issuer: "https://token.actions.githubusercontent.com", Repository: repository,
		Subject: repository + "/.github/workflows/rebuild.yml@refs/heads/main",
	})
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a job's" || r.FormValue("audience") != "sigstore" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"value":"` + token + `"}`))
	}))
	d.t.Cleanup(tokens.Close)
	d.shell.env = append(d.shell.env, "ACTIONS_ID_TOKEN_REQUEST_URL="+tokens.URL+"/?", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=a job's")
}

// enrolAlice has alice, on another machine, ask, be enrolled, and report hello.
func (d *documents) enrolAlice() {
	d.freshHome()
	r := d.shell.run(d.t, "repronet-reporter init --aggregator "+d.server.URL+" --sets nixos-unstable --operator alice --consent-cc0 && repronet-reporter enrol --contact alice@example.org")
	if r.status != 0 {
		d.t.Fatal(r.said())
	}
	d.command("builders approve", d.builder(), "--operator", "alice")
	d.attestHello()
}
