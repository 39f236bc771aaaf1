package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/version"
)

const testPeer = "12D3KooWBHvsSSKHeragACma3HUodK5FcPUpXccLu2vHooNsDf9k"

func TestSplitMultiaddr(t *testing.T) {
	tests := []struct {
		in, location string
		wantErr      string
	}{
		{in: "/ip4/192.0.2.7/tcp/4001/p2p/" + testPeer, location: "/ip4/192.0.2.7/tcp/4001"},
		{in: "/ip6/2001:db8::1/tcp/4001/p2p/" + testPeer, location: "/ip6/2001:db8::1/tcp/4001"},
		{in: "/dns4/repro.example/tcp/4001/p2p/" + testPeer, location: "/dns4/repro.example/tcp/4001"},
		{in: "/dns/repro.example/udp/443/quic-v1/p2p/" + testPeer, location: "/dns/repro.example/udp/443/quic-v1"},
		{in: "", wantErr: "incomplete"},
		{in: "/", wantErr: "incomplete"},
		{in: "https://repro.example/", wantErr: "incomplete"},
		{in: "x/ip4/192.0.2.7/tcp/4001/p2p/" + testPeer, wantErr: "incomplete"},
		{in: "/ip4/192.0.2.7/tcp/4001", wantErr: "does not end in /p2p/"},
		{in: "/ip4/192.0.2.7/tcp/4001/p2p/", wantErr: "does not end in /p2p/"},
		{in: "/ip4/192.0.2.7/tcp/4001/p2p/" + testPeer + "/p2p-circuit", wantErr: "does not end in /p2p/"},
		{in: "/ip4/192.0.2.7/tcp/4001/ws/p2p/" + testPeer, wantErr: "does not end in /p2p/"},
		{in: "/ip4/192.0.2.7/tcp/65536/p2p/" + testPeer, wantErr: `"65536" is no port number`},
		{in: "/ip4/192.0.2.7/udp/4001/p2p/" + testPeer, wantErr: "after the udp port comes /quic-v1"},
		{in: "/ip4/192.0.2.7/sctp/4001/p2p/" + testPeer, wantErr: `"sctp" is neither tcp nor udp`},
		{in: "/ip4/2001:db8::1/tcp/4001/p2p/" + testPeer, wantErr: "is no ip4 address"},
		{in: "/ip6/192.0.2.7/tcp/4001/p2p/" + testPeer, wantErr: "is no ip6 address"},
		{in: "/dns4//tcp/4001/p2p/" + testPeer, wantErr: "host name is empty"},
		{in: "/dnsaddr/repro.example/tcp/4001/p2p/" + testPeer, wantErr: "none of ip4, ip6, dns"},
	}
	for _, tt := range tests {
		location, peerID, err := SplitMultiaddr(tt.in)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("SplitMultiaddr(%q): error %v, want one with %q", tt.in, err, tt.wantErr)
			}
			continue
		}
		if diff := cmp.Diff([]string{tt.location, testPeer}, []string{location, peerID}); diff != "" || err != nil {
			t.Errorf("SplitMultiaddr(%q): %v (-want +got):\n%s", tt.in, err, diff)
		}
	}
}

func TestClientBaseURL(t *testing.T) {
	tests := []struct{ in, want, wantErr string }{
		{in: "https://repro.example", want: "https://repro.example"},
		{in: "https://repro.example/", want: "https://repro.example"},
		{in: "http://127.0.0.1:8080/a/b/", want: "http://127.0.0.1:8080/a/b"},
		{in: "http://[::1]:8080", want: "http://[::1]:8080"},
		{in: "repro.example", wantErr: "neither http:// nor https:// nor a slash"},
		{in: "ftp://repro.example", wantErr: "neither http:// nor https:// nor a slash"},
		{in: "https://", wantErr: "names no host"},
		{in: "https://:443/", wantErr: "names no host"},
		{in: "https://u:secret@repro.example/", wantErr: "user name"},
		{in: "https://repro.example/?q", wantErr: "query"},
		{in: "https://repro.example/?", wantErr: "query"},
		{in: "https://repro.example/#f", wantErr: "fragment"},
		{in: "http://\x7f/", wantErr: "not a URL"},
		{in: "/ip4/192.0.2.7/tcp/4001", wantErr: "does not end in /p2p/"},
	}
	for _, tt := range tests {
		_, base, err := Client(tt.in, time.Second)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Client(%q): error %v, want one with %q", tt.in, err, tt.wantErr)
			}
			continue
		}
		if base != tt.want || err != nil {
			t.Errorf("Client(%q) = %q, %v, want %q", tt.in, base, err, tt.want)
		}
	}
}

func TestClientHTTP(t *testing.T) {
	unblock := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/prefix/hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello, "+r.UserAgent()) })
	mux.HandleFunc("/prefix/stuck", func(http.ResponseWriter, *http.Request) { <-unblock })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(unblock)

	client, base, err := Client(server.URL+"/prefix/", 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(base + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if string(body) != "hello, "+version.UserAgent() || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
	if resp, err := client.Get(base + "/stuck"); err == nil {
		resp.Body.Close()
		t.Error("a server that does not answer was waited for")
	}
}

// TestRedirectElsewhere: where the server leads to on another host is not asked; on its
// own host it is.
func TestRedirectElsewhere(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/post":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/on":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	}))
	defer server.Close()
	client, base, err := Client(server.URL, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/away": "another host", "/on": "", "/round": "more than 5 times"} {
		response, err := client.Get(base + path)
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	response, err := client.Post(base+"/post", "text/plain", strings.NewReader("x"))
	if err == nil {
		response.Body.Close()
		t.Error("a POST was sent elsewhere")
	}
	if asked {
		t.Error("the other host was asked")
	}
}
