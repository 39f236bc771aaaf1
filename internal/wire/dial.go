package wire

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"repronet.dev/internal/redirects"
	"repronet.dev/internal/version"
)

// Client gives an HTTP client for the server at address, in either of the forms
// of the package documentation, and the base URL that goes before every path:
//
//	client, base, err := wire.Client(address, time.Minute)
//	client.Get(base + "/api/v1/summary")
//
// The base URL has no slash at its end. timeout bounds a whole request, from
// the dial to the last byte of the answer; zero means no bound. A proxy is
// taken from the environment, for http and https only. How much of an answer
// to read is the caller's decision. Redirects to another host are not followed.
//
// Client does not connect: an address that does not answer shows in the first
// request. A caller makes one client and keeps it. Requests say which version of
// repronet asks ([version.UserAgent]), unless they have a User-Agent of their own.
func Client(address string, timeout time.Duration) (*http.Client, string, error) {
	if IsMultiaddr(address) {
		transport, base, err := dialP2P(address)
		if err != nil {
			return nil, "", err
		}
		return &http.Client{Transport: named{transport}, Timeout: timeout, CheckRedirect: redirects.StayOnHost}, base, nil
	}
	base, err := baseURL(address)
	if err != nil {
		return nil, "", fmt.Errorf("address %q: %w; an address looks like https://HOST/ or /dns4/HOST/tcp/PORT/p2p/ID", address, err)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
		ForceAttemptHTTP2:   true,
		// Without pings a connection whose link died is used until the
		// kernel gives it up, which can take a quarter of an hour.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	return &http.Client{Transport: named{transport}, Timeout: timeout, CheckRedirect: redirects.StayOnHost}, base, nil
}

// named is a transport whose requests say which program asks.
type named struct{ transport http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("User-Agent") == "" {
		r = r.Clone(r.Context()) // a transport must not change what it is given
		r.Header.Set("User-Agent", version.UserAgent())
	}
	return n.transport.RoundTrip(r)
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] looks for.
func (n named) CloseIdleConnections() {
	if t, ok := n.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func baseURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("it is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("it starts with neither http:// nor https:// nor a slash")
	case u.Hostname() == "":
		return "", errors.New("it names no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("it has a user name, a query or a fragment")
	}
	return strings.TrimRight(u.String(), "/"), nil
}
