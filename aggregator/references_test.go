package aggregator

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"repronet.dev/aggregator/admin"
	"repronet.dev/aggregator/query"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/internal/peertest"
	"repronet.dev/signing"
)

// TestHostileCaches: a cache can neither keep the job waiting nor fill the memory.
func TestHostileCaches(t *testing.T) {
	peertest.Peer{Body: "StorePath: ", Most: narinfo.MaxSize}.Survive(t, func(base string) error {
		r := newReferences(nil, nil)
		if r.http.Timeout <= 0 {
			t.Error("nothing bounds a request's time")
		}
		r.http.Timeout = peertest.Patience
		return r.fetch(t.Context(), Cache{base}, "/nix/store/"+strings.Repeat("0", 32)+"-hello")
	})
}

// TestReferences: what a cache signed about outputs of a set is fetched once, and
// counts; what it does not have is asked for again the next time, and what it
// answers instead of it is not taken.
func TestReferences(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const outputs = 6
	outputName := func(n int) string { return fmt.Sprintf("/nix/store/%032d-hello", n) }
	files, asked := map[string]string{}, map[string]int{}
	for n := range outputs {
		of := n
		if n == 1 {
			of = 0 // another path's
		}
		url := must(narinfo.URL("", outputName(n)))
		text := fmt.Sprintf("StorePath: %s\nNarHash: sha256:%064x\nNarSize: 1\n", outputName(of), 7+n)
		info := must(narinfo.Parse([]byte(text)))
		files[url] = text + "Sig: cache-1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(private, info.Fingerprint())) + "\n"
		if n == 2 {
			delete(files, url)
		}
	}
	cache := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		if text, ok := files[r.URL.Path]; ok {
			fmt.Fprint(w, text)
			return
		}
		http.NotFound(w, r)
	}))
	defer cache.Close()
	w := newWorld(t, func(c *Config) { c.Caches = []Cache{{cache.URL}} })
	public := must(signing.NewPublicKey(private.Public()))
	if _, err := w.Enrol(t.Context(), &enrolment.Enrolment{
		Builder: public.Builder(), PublicKey: public.DER(), NixName: "cache-1", Operator: "cache", Tier: enrolment.Counted,
	}); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for n := range outputs {
		fmt.Fprintln(&list, outputName(n))
	}
	if _, err := w.PublishSet(t.Context(), admin.Set{Name: "stable", Revision: "1", Ecosystem: "nix"}, strings.NewReader(list.String())); err != nil {
		t.Fatal(err)
	}
	w.settle()
	source := query.New(w.store, w.ledger, w.index)
	job := newReferences(w.Aggregator, source)
	before := w.log.Size()
	for range 2 {
		if err := job.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	if grown := w.log.Size() - before; grown != outputs-2 {
		t.Errorf("%d entries were added, want %d", grown, outputs-2)
	}
	for n := range outputs {
		url := must(narinfo.URL("", outputName(n)))
		want := 1
		if n == 1 || n == 2 {
			want = 2
		}
		if asked[url] != want {
			t.Errorf("output %d was asked for %d times, want %d", n, asked[url], want)
		}
	}
	summary := must(source.Summary(t.Context(), "stable"))
	if summary.Single != outputs-2 || summary.Unbuilt != 2 {
		t.Errorf("%+v", summary)
	}
}
