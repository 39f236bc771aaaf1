// Package redirects says where an answer may lead a client of this project: nowhere, or on
// the host that was asked. Who answers does not decide which machines are asked next,
// those of an internal network among them, nor who is handed what was posted.
//
// A client that is made for one purpose has a rule as its CheckRedirect. A library that is
// given a client asks by what [On] makes of it.
package redirects

import (
	"fmt"
	"net/http"
)

// None follows nothing: a redirect is itself the answer, whose status the caller refuses.
func None(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// most is how often an answer may lead on.
const most = 5

// StayOnHost follows redirects on the host that was asked first, also from http to https,
// and fails at others.
func StayOnHost(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case len(via) > most:
		return fmt.Errorf("it redirects more than %d times", most)
	case to.URL.Scheme == from.Scheme && to.URL.Host == from.Host:
		return nil
	case from.Scheme == "http" && to.URL.Scheme == "https" && to.URL.Hostname() == from.Hostname() && from.Port() == "" && to.URL.Port() == "":
		return nil
	}
	return fmt.Errorf("it redirects to another host, %.200q: name that if it is meant", to.URL.Host)
}

// On returns a copy of a client that stays on the host that it asks. The two share their
// connections.
func On(client *http.Client) *http.Client {
	bound := *client
	bound.CheckRedirect = StayOnHost
	return &bound
}
