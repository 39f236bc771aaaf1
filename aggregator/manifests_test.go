package aggregator

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/manifest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// buildOf makes a directory with files.
func buildOf(t *testing.T, files map[string]string) *manifest.Manifest {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return must(manifest.Of(t.Context(), dir))
}

// handIn signs a manifest of an output with the digest of a variant, and hands it in.
func handIn(t *testing.T, client *api.Client, signer *signing.Signer, n int, variant byte, m *manifest.Manifest) (*api.ManifestKept, api.ProblemKind) {
	t.Helper()
	document := must(manifest.Sign(t.Context(), signer, manifest.Statement{
		Ecosystem: "nix", DigestKind: attestation.NAR, Output: outputName(n), Digest: attestation.Digest{1, variant, byte(n), byte(n >> 8)},
	}, m))
	kept, err := client.SubmitManifest(t.Context(), document)
	if err == nil {
		return kept, ""
	}
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok {
		t.Fatal(err)
	}
	return nil, problem.Kind()
}

// TestManifests: builders whose claims diverge say what is in their builds; who asks is told
// where they differ, and gets what they signed.
func TestManifests(t *testing.T) {
	w := newWorld(t, nil)
	alice, bob, carol, open := w.enrol("alice"), w.enrol("bob"), w.enrol("carol"), w.enrolAs("open", enrolment.Open)
	w.attest(alice, 0, 3, 1)
	w.attest(bob, 0, 1, 2)
	w.attest(bob, 1, 2, 1)
	w.attest(carol, 0, 1, 1)
	w.attest(open, 0, 1, 3)
	w.settle()
	client := must(api.Dial(w.url, time.Minute))
	wanted := func(signer *signing.Signer) (outputs []string) {
		t.Helper()
		page := must(client.WantedManifests(t.Context(), signer.Public().Builder(), ""))
		for _, o := range page.Outputs {
			outputs = append(outputs, o.Output)
		}
		return outputs
	}
	if got := wanted(alice); !cmp.Equal(got, []string{outputName(0)}) {
		t.Errorf("wanted of alice: %q", got)
	}
	if got := wanted(open); len(got) != 0 {
		t.Errorf("wanted of one that does not count: %q", got)
	}
	first := buildOf(t, map[string]string{"bin/hello": "one", "share/doc": "same"})
	second := buildOf(t, map[string]string{"bin/hello": "two", "share/doc": "same", "new": "x"})
	stranger := signingtest.New(t)
	for name, c := range map[string]struct {
		signer  *signing.Signer
		n       int
		variant byte
		want    api.ProblemKind
	}{
		"of an output that nobody named":  {alice, 100, 1, api.ProblemNotWanted},
		"of one that is reproduced":       {alice, 1, 1, api.ProblemNotWanted},
		"of a digest that is another's":   {alice, 0, 2, api.ProblemNotWanted},
		"of a claim that does not count":  {open, 0, 3, api.ProblemNotWanted},
		"by a builder that is not there":  {stranger, 0, 1, api.ProblemNotEnrolled},
		"of a digest that nobody claimed": {bob, 0, 9, api.ProblemNotWanted},
	} {
		if kept, problem := handIn(t, client, c.signer, c.n, c.variant, first); problem != c.want {
			t.Errorf("%s: %v, %q, want %q", name, kept, problem, c.want)
		}
	}
	for _, by := range []struct {
		signer  *signing.Signer
		variant byte
		m       *manifest.Manifest
	}{{alice, 1, first}, {bob, 2, second}} {
		if kept, problem := handIn(t, client, by.signer, 0, by.variant, by.m); problem != "" || kept.Duplicate {
			t.Errorf("%+v, %q", kept, problem)
		}
	}
	// What is there stays, and nothing is asked for twice.
	if kept, problem := handIn(t, client, alice, 0, 1, second); problem != "" || !kept.Duplicate {
		t.Errorf("a second time: %+v, %q", kept, problem)
	}
	if got := wanted(alice); len(got) != 0 {
		t.Errorf("wanted of alice, who handed it in: %q", got)
	}
	found := must(client.Differences(t.Context(), outputName(0)))
	if len(found.Manifests) != 2 || len(found.Pairs) != 1 {
		t.Fatalf("%+v", found)
	}
	pair := found.Pairs[0]
	if pair.First.Operator != "alice" || pair.Second.Operator != "bob" || !strings.HasPrefix(pair.String(), "2 of 6 files differ: bin/hello (contents), new (only in the second)") {
		t.Errorf("%s and %s: %s", pair.First.Operator, pair.Second.Operator, pair.String())
	}
	document := must(client.Manifest(t.Context(), outputName(0), attestation.Digest{1, 2}, bob.Public().Builder()))
	if _, lines, _ := bytes.Cut(document, []byte("\n")); !bytes.Equal(lines, must(second.Encode())) {
		t.Errorf("bob's manifest is\n%s", document)
	}
	page := must(http.Get(w.url + "/builds" + outputName(0)))
	defer page.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(page.Body); err != nil || !strings.Contains(text.String(), "2 of 6 files differ") || !strings.Contains(text.String(), "bin/hello") {
		t.Errorf("%v: the page does not say which files differ", err)
	}

	t.Run("swept", func(t *testing.T) {
		kept := must(w.openReports(w.source()))
		old := time.Now().Add(-40 * 24 * time.Hour)
		files := must(filepath.Glob(filepath.Join(w.config.Data, ReportsDir, "manifests", "*", "*", "*")))
		for _, file := range files {
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := kept.Sweep(t.Context()); err != nil || len(must(filepath.Glob(filepath.Join(filepath.Dir(files[0]), "*")))) != 2 {
			t.Errorf("what is asked for was swept away: %v", err)
		}
		if _, err := w.Revoke(t.Context(), bob.Public().Builder(), new(uint64), "stolen"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if err := kept.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := must(filepath.Glob(filepath.Join(filepath.Dir(files[0]), "*"))); len(left) != 0 {
			t.Errorf("of an output that does not diverge any more there are %q", left)
		}
	})
}
