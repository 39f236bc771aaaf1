//go:build !nolibp2p

package wire

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/internal/wire/p2p"
)

func TestClientP2P(t *testing.T) {
	l, err := p2p.Listen(t.Context(), p2p.Config{
		Listen:  []string{"/ip4/127.0.0.1/tcp/0"},
		KeyFile: filepath.Join(t.TempDir(), "key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) }),
		ReadHeaderTimeout: time.Minute,
	}
	go server.Serve(l)
	defer server.Close()

	client, base, err := Client(l.Addrs()[0], 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(base + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "hello /a" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
}

func TestClientP2PBadPeerID(t *testing.T) {
	_, _, err := Client("/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWnothing", time.Second)
	if err == nil || !strings.Contains(err.Error(), "is no peer ID") {
		t.Errorf("error %v, want one that says it is no peer ID", err)
	}
}
