package reporter_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/manifest"
	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// asking is an aggregator that wants manifests of some outputs, and keeps what it gets. What
// else it is asked goes to the one behind it.
type asking struct {
	behind http.RoundTripper
	wanted []api.WantedManifest
	got    [][]byte
}

func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	var document any
	switch {
	case r.URL.Path == api.WantedManifestsPath:
		document = &api.WantedManifests{Outputs: a.wanted}
	case r.URL.Path == api.ManifestsPath && r.Method == http.MethodPost:
		unpacked, err := zstd.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(unpacked)
		if err != nil {
			return nil, err
		}
		a.got, document = append(a.got, text), &api.ManifestKept{}
	default:
		return a.behind.RoundTrip(r)
	}
	text, err := json.Marshal(document)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r,
	}, err
}

// TestManifestsOfOthers: an aggregator that asks about outputs that this machine has, and never
// reported, is told nothing; of what was reported it gets a list that the builder signed.
func TestManifestsOfOthers(t *testing.T) {
	a := submittest.New(t)
	home, p := prepare(t, a, nil)
	a.Enrol(p.PublicKey)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 3} { // builds that 'rebuild' made
		if err := home.KeepManifest(t.Context(), output(n), attestation.Digest{1, byte(n)}, dir); err != nil {
			t.Fatal(err)
		}
	}
	// Another digest than the one that was reported of it.
	if err := home.KeepManifest(t.Context(), output(1), attestation.Digest{9}, dir); err != nil {
		t.Fatal(err)
	}
	put(t, home, 1, 4)
	r := open(t, home)
	if report, err := r.Pass(t.Context()); err != nil || report.Acknowledged != 1 {
		t.Fatal(report, err)
	}
	put(t, home, 3) // recorded, and not sent yet
	asks := &asking{behind: http.DefaultTransport}
	for n := range 6 {
		asks.wanted = append(asks.wanted, api.WantedManifest{Output: output(n), Ecosystem: "nix"})
	}
	asks.wanted = append(asks.wanted, api.WantedManifest{Output: "/etc/passwd", Ecosystem: "nix"}, api.WantedManifest{Output: "../../etc", Ecosystem: "generic"})
	r.SetTransport(asks)
	report, err := r.HandInManifests(t.Context())
	if err != nil || report.Sent != 1 || report.Wanted != 8 || report.Absent != 7-len(report.Problems) {
		t.Errorf("%+v, %v", report, err)
	}
	if len(asks.got) != 1 {
		t.Fatalf("%d manifests were sent", len(asks.got))
	}
	signed, err := manifest.Open(t.Context(), asks.got[0], func(_ context.Context, bundle []byte) ([]byte, signing.BuilderID, error) {
		payload, err := sigstore.OpenPayload(bundle, p.PublicKey)
		return payload, p.PublicKey.Builder(), err
	})
	if err != nil || signed.Output != output(1) || signed.Digest != (attestation.Digest{1, 1}) {
		t.Errorf("it is %+v, %v", signed, err)
	}
	// It waits no more, and the others do.
	left, err := os.ReadDir(filepath.Join(string(home), "manifests"))
	if err != nil || len(left) != 3 {
		t.Errorf("%d manifests wait, %v", len(left), err)
	}
	if slices.ContainsFunc(left, func(f os.DirEntry) bool { info, err := f.Info(); return err != nil || info.Mode().Perm() != 0o600 }) {
		t.Error("what waits can be read by others")
	}
}

// TestManifestsAreBounded: what waits to be asked for is bounded, the oldest goes first.
func TestManifestsAreBounded(t *testing.T) {
	a := submittest.New(t)
	home, _ := prepare(t, a, nil)
	dir := t.TempDir()
	for n := range 210 {
		if err := home.KeepManifest(t.Context(), output(n), attestation.Digest{1, byte(n)}, dir); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(string(home), "manifests")); err != nil || len(left) != 200 {
		t.Errorf("%d wait, %v", len(left), err)
	}
}

// TestManifestsAreAgreedTo: whose volunteer said no, or was never asked, asks nobody.
func TestManifestsAreAgreedTo(t *testing.T) {
	a := submittest.New(t)
	for _, said := range []string{reporter.ManifestsNo, reporter.ManifestsYes} {
		home, p := prepare(t, a, func(s *reporter.Setup) { s.Manifests = said })
		a.Enrol(p.PublicKey)
		if err := home.KeepManifest(t.Context(), output(1), attestation.Digest{1, 1}, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		put(t, home, 1)
		r := open(t, home)
		if report, err := r.Pass(t.Context()); err != nil || report.Acknowledged != 1 {
			t.Fatal(report, err)
		}
		asks := &asking{behind: http.DefaultTransport, wanted: []api.WantedManifest{{Output: output(1), Ecosystem: "nix"}}}
		r.SetTransport(asks)
		want := map[string]int{reporter.ManifestsYes: 1}[said]
		if report, err := r.HandInManifests(t.Context()); err != nil || report.Wanted != want || len(asks.got) != want {
			t.Errorf("%q: %+v, %d sent, %v", said, report, len(asks.got), err)
		}
	}
}
