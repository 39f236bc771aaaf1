package notify

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "127.8.9.10": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.100.0.1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "fec0::1": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:1::1": false,
		"192.0.2.1": false, "198.18.0.1": false, "203.0.113.9": false, "2001:db8::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}

// nameServer answers for every name with the addresses in turn, each for no time.
func nameServer(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for asked := 0; ; {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil {
				continue
			}
			m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeSuccess, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				ip := netip.MustParseAddr(addresses[asked%len(addresses)])
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: ip.As4()},
				}}
				asked++
			}
			answer, err := m.Pack()
			if err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestNoPrivateNetwork: nothing is posted into a private network: not by an address or name of
// one, and not by a name that leads there after it led elsewhere.
func TestNoPrivateNetwork(t *testing.T) {
	var hits atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer inside.Close()
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	rebinding := &net.Dialer{Control: refusePrivate, Resolver: nameServer(t, "192.0.2.1", "127.0.0.1")}
	for _, c := range []struct {
		poster *Poster
		host   string
	}{
		{NewPoster(false), "127.0.0.1"},
		{NewPoster(false), "localhost"},
		{NewPoster(false), "[::ffff:127.0.0.1]"},
		{NewPoster(false), "2130706433"}, // as some resolvers read it
		{newPoster(rebinding), "rebinding.example"},
		{newPoster(rebinding), "rebinding.example"},
	} {
		err := c.poster.Post(t.Context(), "http://"+c.host+":"+port+"/", nil, []byte("{}"))
		if err == nil {
			t.Errorf("%s: it was told", c.host)
		} else if refused := strings.Contains(err.Error(), "notify.allow_private permits it"); !refused && c.host != "2130706433" {
			t.Errorf("%s: %v", c.host, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests came through", hits.Load())
	}
	allowed := newPoster(&net.Dialer{Resolver: nameServer(t, "127.0.0.1")})
	for _, p := range []*Poster{NewPoster(true), allowed} { // the same names lead there where it is allowed
		host := map[*Poster]string{allowed: "rebinding.example"}[p]
		if host == "" {
			host = "127.0.0.1"
		}
		if err := p.Post(t.Context(), "http://"+host+":"+port+"/", nil, []byte("{}")); err != nil {
			t.Errorf("%s, which is allowed: %v", host, err)
		}
	}
	if hits.Load() != 2 {
		t.Errorf("%d requests came through, want 2", hits.Load())
	}
}
