package aggregator_test

import (
	"strings"
	"testing"

	"repronet/aggregator"
)

// TestConfigURL takes the server's address from the environment, and refuses what
// pages could not link to.
func TestConfigURL(t *testing.T) {
	for _, c := range []struct{ url, refused string }{
		{"", ""},
		{"https://repro.example.org", ""},
		{"http://127.0.0.1:8080/below", ""},
		{"repro.example.org", "url"},
		{"ftp://repro.example.org", "url"},
		{"https://repro.example.org/?a=b", "url"},
	} {
		config, err := aggregator.LoadConfig("", func(name string) string {
			if name == "REPRONET_AGGREGATOR_URL" {
				return c.url
			}
			return ""
		})
		if err != nil {
			t.Fatal(err)
		}
		if config.URL != c.url {
			t.Errorf("URL = %q, want %q", config.URL, c.url)
		}
		err = config.Validate()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), c.refused)) {
			t.Errorf("Validate with URL %q: %v, want %q", c.url, err, c.refused)
		}
	}
}
