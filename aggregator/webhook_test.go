package aggregator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/state"
	"repronet.dev/signing"
)

// TestWebhook: the operator is told once of requests that wait, again of those that come
// later, and of nothing that who asked said.
func TestWebhook(t *testing.T) {
	s, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []notice
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n notice
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil || r.Method != http.MethodPost || r.URL.Path != "/hook" {
			t.Errorf("%s %s, %v", r.Method, r.URL, err)
		}
		if status == http.StatusOK {
			got = append(got, n)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	hook := func() *webhook { return newWebhook(server.URL+"/hook", "https://repro.example.org", s) }
	run := func(w *webhook, fails string) {
		t.Helper()
		err := w.run(t.Context())
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("run: %v, want %q", err, fails)
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	ask := func(id string, received time.Time) {
		t.Helper()
		if _, err := s.Ask(t.Context(), state.Request{Builder: signing.BuilderID(id), Document: []byte("secret"), Created: received, Received: received}); err != nil {
			t.Fatal(err)
		}
	}
	w := hook()
	run(w, "") // nothing waits
	ask("a", now.Add(-time.Hour))
	for _, status = range []int{http.StatusInternalServerError, http.StatusFound} {
		run(w, "it answered")
	}
	status = http.StatusOK
	run(w, "")
	run(w, "")
	run(hook(), "") // after a start
	ask("b", now)
	run(w, "") // not yet again
	run(hook(), "")
	want := []notice{
		{"https://repro.example.org: One request to be enrolled waits: 'repronet-aggregator builders pending' shows it.", 1, now.Add(-time.Hour)},
		{"https://repro.example.org: 2 requests to be enrolled wait: 'repronet-aggregator builders pending' lists them.", 2, now},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	server.Close()
	ask("c", now.Add(time.Minute))
	err = hook().run(t.Context())
	if err == nil || strings.Contains(err.Error(), server.URL) {
		t.Errorf("a webhook that is away, and whose address may have a secret: %v", err)
	}
}
