package narinfo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"repronet.dev/internal/peertest"
)

// TestHostileCache: a binary cache can neither keep us waiting nor fill our memory.
func TestHostileCache(t *testing.T) {
	peertest.Peer{Body: "StorePath: ", Most: MaxSize}.Survive(t, func(base string) error {
		_, err := Fetch(t.Context(), peertest.Client(), base+"/x.narinfo")
		return err
	})
}

// TestRedirectElsewhere: where a cache leads to on another host is not asked for; on its
// own host it is.
func TestRedirectElsewhere(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	cache := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/on":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "here")
		}
	}))
	defer cache.Close()
	if _, err := Fetch(t.Context(), http.DefaultClient, cache.URL+"/away"); err == nil || !strings.Contains(err.Error(), "another host") {
		t.Errorf("away: %v", err)
	}
	if body, err := Fetch(t.Context(), http.DefaultClient, cache.URL+"/on"); err != nil || string(body) != "here" {
		t.Errorf("on its host: %q, %v", body, err)
	}
	if asked {
		t.Error("the other host was asked")
	}
}
