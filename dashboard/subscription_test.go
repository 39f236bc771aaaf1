package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestSubscriptionPages: a link of a mail asks, and a button does it; a link that is not whole
// does neither, and says why.
func TestSubscriptionPages(t *testing.T) {
	engine := serve(t, sample())
	for _, c := range []struct {
		method, path string
		status       int
		want         string
		button       bool
	}{
		{http.MethodGet, "/subscriptions/anna/confirm?token=right", 200, "Do you want to be told?", true},
		{http.MethodPost, "/subscriptions/anna/confirm?token=right", 200, "From now on you get a mail", false},
		{http.MethodGet, "/subscriptions/anna/unsubscribe?token=right", 200, "Get no more mail?", true},
		{http.MethodPost, "/subscriptions/anna/unsubscribe?token=right", 200, "your address is deleted here", false},
		{http.MethodGet, "/subscriptions/anna/confirm?token=wrong", 404, "This link is not whole", false},
		{http.MethodPost, "/subscriptions/anna/confirm?token=wrong", 404, "This link is not whole", false},
		{http.MethodPost, "/subscriptions/bert/unsubscribe?token=right", 404, "This link is not whole", false},
		{http.MethodPost, "/subscriptions/anna/delete?token=right", 404, "This link is not whole", false},
		{http.MethodDelete, "/subscriptions/anna/confirm?token=right", 405, "", false},
	} {
		response := request(t, engine, c.method, c.path)
		body := text(t, response)
		if response.StatusCode != c.status || !strings.Contains(body, c.want) || strings.Contains(body, `<form method="post">`) != c.button {
			t.Errorf("%s %s: status %d, %s", c.method, c.path, response.StatusCode, body)
		}
	}
}
