package reports_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"repronet.dev/aggregator/reports"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/manifest"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

const key = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-1.0"

// one is an index in which one output diverges.
type one struct{ output api.Output }

func (o *one) Output(_ context.Context, key string) (*api.Output, error) {
	if key != o.output.Key {
		return nil, dashboard.ErrNotFound
	}
	return &o.output, nil
}

func (o *one) Divergences(context.Context, api.DivergenceQuery) (*api.DivergencePage, error) {
	return &api.DivergencePage{Divergences: []api.Divergence{{OutputRow: o.output.OutputRow}}, Total: 1}, nil
}

// world has signers whose claims diverge: each a digest of its own, or all the same.
func world(t *testing.T, builders int, digestOf func(int) byte) (*one, []*signing.Signer) {
	t.Helper()
	source := &one{api.Output{OutputRow: api.OutputRow{Key: key, Ecosystem: "nix", Verdict: api.Diverged}}}
	var signers []*signing.Signer
	for i := range builders {
		s := signingtest.Named(fmt.Sprint("builder", i))
		signers = append(signers, s)
		source.output.Claims = append(source.output.Claims, api.Claim{
			Builder: string(s.Public().Builder()), Operator: fmt.Sprint("operator", i), Digest: attestation.Digest{1, digestOf(i)}.String(), Counts: true,
		})
	}
	return source, signers
}

func open(t *testing.T, source reports.Source, signers []*signing.Signer, dir string, most int64) *reports.Reports {
	t.Helper()
	r, err := reports.Open(reports.Config{Dir: dir, Source: source, MaxBytes: most, Check: func(_ context.Context, bundle []byte) ([]byte, signing.BuilderID, error) {
		id, _, err := signing.Peek(bundle)
		if err != nil {
			return nil, "", err
		}
		for _, s := range signers {
			if s.Public().Builder() == id {
				payload, err := sigstore.OpenPayload(bundle, s.Public())
				return payload, id, err
			}
		}
		return nil, "", signing.ErrUnknownBuilder
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func document(t *testing.T, signer *signing.Signer, digest byte, name string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Of(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := manifest.Sign(t.Context(), signer, manifest.Statement{
		Ecosystem: "nix", DigestKind: attestation.NAR, Output: key, Digest: attestation.Digest{1, digest},
	}, m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func kindOf(err error) api.ProblemKind {
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok {
		return ""
	}
	return problem.Kind()
}

// TestBounds: of each digest some are kept, of all together so many bytes, and nothing that
// is not a manifest.
func TestBounds(t *testing.T) {
	t.Parallel()
	source, signers := world(t, 6, func(i int) byte { return byte(i / 5) })
	dir := t.TempDir()
	r := open(t, source, signers, dir, 0)
	for i, s := range signers {
		_, err := r.Take(t.Context(), document(t, s, byte(i/5), "file"))
		if want := map[bool]api.ProblemKind{true: api.ProblemNotWanted}[i == 4]; kindOf(err) != want || want == "" && err != nil {
			t.Errorf("builder %d: %v", i, err)
		}
	}
	d, err := r.Of(t.Context(), &source.output)
	if err != nil || len(d.Manifests) != 5 || len(d.Pairs) != 1 || d.Pairs[0].Differ != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	// Who would be refused is not asked, and who handed one in is not asked again.
	for _, i := range []int{0, 4, 5} {
		if wanted, err := r.Wanted(t.Context(), signers[i].Public().Builder(), ""); err != nil || len(wanted.Outputs) != 0 {
			t.Errorf("wanted of builder %d: %+v, %v", i, wanted, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "no line": "x", "no bundle": "{}\n" + `{"path":".","type":"directory"}` + "\n",
		"two manifests": string(document(t, signers[5], 1, "a")) + string(document(t, signers[5], 1, "a")),
	} {
		if _, err := r.Take(t.Context(), []byte(text)); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	small := open(t, source, signers, t.TempDir(), 100)
	if _, err := small.Take(t.Context(), document(t, signers[0], 0, "file")); kindOf(err) != api.ProblemOverBudget {
		t.Errorf("over all that is kept: %v", err)
	}
	// What is kept counts after a restart too.
	full := open(t, source, signers, dir, 100)
	if _, err := full.Take(t.Context(), document(t, signers[4], 0, "file")); kindOf(err) != api.ProblemNotWanted {
		t.Errorf("after a restart: %v", err)
	}
	// A file that was damaged is left out, and no page shows half of it.
	files, err := filepath.Glob(filepath.Join(dir, "manifests", "*", "*", "*"))
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := open(t, source, signers, dir, 0).Of(t.Context(), &source.output); err != nil || len(d.Pairs) != 0 {
		t.Errorf("of damaged files: %+v, %v", d, err)
	}
}
