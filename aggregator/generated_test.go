package aggregator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/api/apitest"
	"repronet.dev/attestation"
	"repronet.dev/enrolment/request"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/manifest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// TestGeneratedClient has another project's generator make a client of the OpenAPI
// document, and a program that calls every operation by it. No answer is outside its
// schema.
func TestGeneratedClient(t *testing.T) {
	w := newWorld(t, nil)
	inputs := w.inputs()
	text := []byte(w.get(api.OpenAPIPath))
	document := apitest.Open(t, text)
	watched, called := w.watched(document)
	inputs["URL"] = watched

	program := buildGenerated(t, text)
	stdin, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program)
	command.Stdin = bytes.NewReader(stdin)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(document.Operations(), called()); diff != "" {
		t.Errorf("operations (-described +called):\n%s", diff)
	}
}

// inputs fills the ledger, and returns what the program is told of it.
func (w *world) inputs() map[string]any {
	w.t.Helper()
	w.history()
	dave, person := w.enrol("dave"), w.certify("erin")
	w.attest(dave, 0, 10, 7)
	evaluated := `{"attr":"hello","drvPath":"` + outputName(7) + `.drv","name":"hello-7","outputs":{"out":"` + outputName(7) + `"},"meta":{"maintainers":[{"github":"ada"}]}}`
	must(admin.PublishSet.DoWith(w.t.Context(), w.Administration(),
		admin.Set{Name: "maintained", Revision: "1", Ecosystem: "nix"}, admin.Streams{Input: strings.NewReader(evaluated)}))
	w.settle()
	for _, prepare := range []error{w.maps.commit(w.t.Context()), w.index.RollUp(w.t.Context())} {
		if prepare != nil {
			w.t.Fatal(prepare)
		}
	}
	w.settle()
	attachments := must(filepath.Glob(filepath.Join(w.ledgerDir(), "attachments", "sha256", "*")))
	listed := must(manifest.Sign(w.t.Context(), dave, manifest.Statement{
		Ecosystem: "nix", DigestKind: attestation.NAR, Output: outputName(5), Digest: attestation.Digest{1, 7, 5},
	}, buildOf(w.t, map[string]string{"bin/hello": "hello"})))
	return map[string]any{
		"Manifest": string(listed), "Listed": outputName(5), "ListedDigest": attestation.Digest{1, 7, 5}.String(),
		"Snapshot": int64(must(w.snapshots.make(w.t.Context(), io.Discard)).Size),
		"Set":      "stable", "Build": outputName(120) + ".drv", "Output": outputName(120), "Digest": attestation.Digest{1, 2, 120}.String(),
		"Builder": dave.Public().Builder(), "Attachment": "sha256/" + filepath.Base(attachments[0]),
		"Bundle": string(w.bundle(dave, 300)), "Lines": string(w.bundle(dave, 301)) + "\n" + string(w.bundle(dave, 302)) + "\n{}\n",
		"Evidence": evidence(w.t, person) + "\n{}\n", "Enrolment": json.RawMessage(w.request(signingtest.New(w.t))),
	}
}

func (w *world) bundle(signer *signing.Signer, n int) []byte {
	w.t.Helper()
	return must(signer.Sign(w.t.Context(), &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Builds:   []attestation.Build{{Name: outputName(n) + ".drv", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
		Subjects: []attestation.Subject{{Name: outputName(n), Digest: attestation.Digest{5, byte(n)}}},
	}))
}

func evidence(t *testing.T, person *openpgptest.Person) string {
	t.Helper()
	body := person.Sign("demo", strings.Repeat("c", 64)+"  three\n", time.Now())
	return string(must(api.Evidence{Kind: ledger.OpenPGPSums, Body: body}.Line()))
}

func (w *world) request(signer *signing.Signer) []byte {
	w.t.Helper()
	asked := &request.Request{Origin: w.config.Origin, PublicKey: signer.Public(), Operator: "frank", Created: time.Now().UTC().Truncate(time.Second)}
	document := request.Document{Request: must(signer.SignPayload(w.t.Context(), must(asked.Encode())))}
	return must(document.Encode())
}

// watched is a server in front of the world that checks each answer, and remembers
// which operations succeeded.
func (w *world) watched(document *apitest.Document) (address string, called func() []string) {
	w.t.Helper()
	var mu sync.Mutex // guards seen
	seen := map[string]bool{}
	proxy := httputil.NewSingleHostReverseProxy(must(url.Parse(w.url)))
	proxy.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		operation := document.Match(r.Request.Method, r.Request.URL.Path)
		document.Check(w.t, operation, r, body)
		switch media := api.MediaType(r); {
		case media != api.LinesType:
		case r.Request.URL.Path == api.SQLPath: // its columns are the question's
		case r.Request.URL.Path == api.ManifestPath: // package manifest's
		case r.Request.URL.Path == api.ExportVerdictsPath:
			document.CheckLines(w.t, "ExportedVerdict", body)
		case r.Request.URL.Path == api.ExportChangesPath:
			document.CheckLines(w.t, "ExportedChange", body)
		default:
			document.CheckLines(w.t, "Result", body)
		}
		if r.StatusCode < http.StatusBadRequest {
			mu.Lock()
			defer mu.Unlock()
			seen[operation] = true
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	w.t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		var list []string
		for operation := range seen {
			list = append(list, operation)
		}
		slices.Sort(list)
		return list
	}
}

// buildGenerated writes the client, and compiles the program that uses it, in a
// module of its own that has what the generator's output needs.
func buildGenerated(t *testing.T, document []byte) string {
	t.Helper()
	dir, tools := t.TempDir(), must(filepath.Abs("../tools/go.mod"))
	run := func(in string, args ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = in
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	module := strings.Replace(string(must(os.ReadFile(tools))), "module repronet.dev/tools", "module generated", 1)
	for name, content := range map[string][]byte{
		"openapi.json": document, "go.mod": []byte(module), "go.sum": must(os.ReadFile(filepath.Join(filepath.Dir(tools), "go.sum"))),
		"main.go": must(os.ReadFile("testdata/generated/main.go")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "client"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(".", "tool", "-modfile="+tools, "oapi-codegen", "-generate", "types,client", "-package", "client",
		"-o", filepath.Join(dir, "client", "client.go"), filepath.Join(dir, "openapi.json"))
	run(dir, "build", "-o", "program", ".")
	return filepath.Join(dir, "program")
}
