package http

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// TestForwardedHeaders: what a request says of where it comes from is believed of a
// configured proxy alone, and of what that says, only what it added itself.
func TestForwardedHeaders(t *testing.T) {
	known := proxies{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("2001:db8::1/128")}
	for name, test := range map[string]struct {
		proxies  proxies
		remote   string
		says     []string
		from     string
		believed bool
	}{
		"nobody is believed":        {nil, "127.0.0.1:5", []string{"192.0.2.1"}, "127.0.0.1:5", false},
		"a stranger":                {known, "192.0.2.9:5", []string{"192.0.2.1"}, "192.0.2.9:5", false},
		"a proxy":                   {known, "10.0.0.7:5", []string{"192.0.2.1"}, "192.0.2.1:0", true},
		"a proxy over IPv6":         {known, "[2001:db8::1]:5", []string{"2001:db8:7::1"}, "[2001:db8:7::1]:0", true},
		"a client behind it lies":   {known, "10.0.0.7:5", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1:0", true},
		"in two headers":            {known, "10.0.0.7:5", []string{"198.51.100.1", "192.0.2.1"}, "192.0.2.1:0", true},
		"two proxies":               {known, "10.0.0.7:5", []string{"192.0.2.1, 10.0.0.8"}, "192.0.2.1:0", true},
		"a proxy that says nothing": {known, "10.0.0.7:5", nil, "10.0.0.7:5", true},
		"a proxy that says rubbish": {known, "10.0.0.7:5", []string{"192.0.2.1, unknown"}, "10.0.0.7:5", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.remote
			for _, value := range test.says {
				r.Header.Add("X-Forwarded-For", value)
			}
			r.Header.Set("X-Forwarded-Prefix", "/evil")
			got := test.proxies.request(r)
			if got.RemoteAddr != test.from {
				t.Errorf("it is from %s, want %s", got.RemoteAddr, test.from)
			}
			if believed := got.Header.Get("X-Forwarded-Prefix") != ""; believed != test.believed {
				t.Errorf("the prefix is believed: %t", believed)
			}
			if r.Header.Get("X-Forwarded-Prefix") == "" || r.RemoteAddr != test.remote {
				t.Error("the caller's request was changed")
			}
		})
	}
}
