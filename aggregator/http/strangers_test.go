package http_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment"
)

// listening starts a real server.
func listening(t *testing.T, config web.Config, parts web.Parts) *httptest.Server {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	router, err := web.New(config, parts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(router)
	t.Cleanup(func() {
		server.Close()
		if err := router.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestForeignHost: the host that a request names, and the headers of a proxy that is none, are
// in nothing that the server says, in commands least of all.
func TestForeignHost(t *testing.T) {
	for name, test := range map[string]struct {
		config web.Config
		want   string
	}{
		"without url": {web.Config{}, ""}, // the server's own address
		"with url":    {web.Config{Dashboard: dashboard.Config{URL: "https://repro.example.org"}}, "https://repro.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			server := listening(t, test.config, web.Parts{Source: sample()})
			want := test.want
			if want == "" {
				want = server.URL
			}
			for _, page := range []string{
				"/", "/docs/api", "/docs/api/", "/builders/", "/method", "/nothing", "/api/v1/nothing", "/api/v1/summary/",
				"/sets/", "/sets/nixos-minimal", "/divergences.atom", "/sets/nixos-minimal.atom", "/badges/sets/nixos-minimal.svg",
			} {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, "GET "+page+" HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"+
					"X-Forwarded-Prefix: /evil.example\r\nForwarded: host=evil.example\r\nConnection: close\r\n\r\n")
				answer, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(answer), "evil.example") {
					t.Errorf("%s repeats what the request says: %s", page, answer)
				}
				if (page == "/docs/api" || strings.HasSuffix(page, ".atom") || page == "/sets/nixos-minimal") && !strings.Contains(string(answer), want) {
					t.Errorf("%s does not name %s", page, want)
				}
			}
		})
	}
}

// TestPrefixOfAProxy: a proxy that is configured says under which prefix it is reached.
func TestPrefixOfAProxy(t *testing.T) {
	server := listening(t, web.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, web.Parts{Source: sample()})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/builders/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-Prefix", "/below")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if location := path.Clean(response.Header.Get("Location")); location != "/below/builders" {
		t.Errorf("%s, Location %q", response.Status, location)
	}
}

// TestRoomForSubmitters: while others take all places with what takes long, those who submit
// and those who read the ledger's files are served.
func TestRoomForSubmitters(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), []byte("a checkpoint"), 0o600); err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}, 100), make(chan struct{})
	in := ingest.New(ingest.Config{}, burning{}, enrolment.NewRoster(), nil)
	in.Ready()
	server := listening(t, web.Config{MaxConnections: 4}, web.Parts{
		Ingest: in, Log: web.Log{Dir: dir},
		Roster: func(ctx context.Context) (*api.Roster, error) {
			entered <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return &api.Roster{}, nil
		},
	})
	var slow []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET "+api.RosterPath+" HTTP/1.1\r\nHost: x\r\n\r\n")
		<-entered
		slow = append(slow, conn)
	}
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Get(server.URL + api.RosterPath)
	if err != nil {
		t.Fatal(err)
	}
	checkProblem(t, response, text(t, response))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !response.Close {
		t.Errorf("one more is answered %s", response.Status)
	}
	for path, want := range map[string]int{api.LogPath + "/checkpoint": http.StatusOK, "/healthz/live": http.StatusOK, "/metrics": http.StatusOK} {
		response, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if body := text(t, response); response.StatusCode != want {
			t.Errorf("%s: %s, %s", path, response.Status, body)
		}
	}
	response, err = client.Post(server.URL+api.SubmitPath, api.LinesType, strings.NewReader("{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, response); response.StatusCode != http.StatusOK || !strings.Contains(body, "malformed") {
		t.Errorf("a submission: %s, %s", response.Status, body)
	}
	close(release)
	for _, conn := range slow {
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("a request under way: %v", err)
			continue
		}
		response.Body.Close()
	}
}
