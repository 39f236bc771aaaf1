package dashboard_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/ledger"
)

// counted is a source with one package set, and its counts.
type counted struct {
	dashboard.Source
	summary dashboard.Summary
	err     error
}

func (s counted) Summaries(context.Context, []string) ([]dashboard.Summary, error) {
	if errors.Is(s.err, dashboard.ErrNotFound) {
		return nil, nil
	}
	return []dashboard.Summary{s.summary}, s.err
}

// badges serves a source; entries were received when received says, and the index is there
// unless missing says why not.
func badges(t *testing.T, source dashboard.Source, received time.Time, missing error) http.Handler {
	t.Helper()
	server, err := web.New(web.Config{Logger: slog.New(slog.DiscardHandler)}, web.Parts{
		Source: source, Indexed: func() error { return missing },
		Entry: func(context.Context, uint64) (*ledger.Entry, error) {
			return &ledger.Entry{Kind: ledger.Attestation, ReceivedAt: received}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

type shield struct {
	SchemaVersion         int
	Label, Message, Color string
	IsError               bool
	CacheSeconds          int
}

func readShield(t *testing.T, engine http.Handler, path string, status int) shield {
	t.Helper()
	response := get(t, engine, path)
	body := text(t, response)
	var s shield
	if err := json.Unmarshal([]byte(body), &s); err != nil || response.StatusCode != status || response.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %s, %v: %s", path, response.Status, err, body)
	}
	if s.SchemaVersion != 1 || s.Label == "" || s.Message == "" || s.CacheSeconds != 300 {
		t.Errorf("%s is no badge of shields: %s", path, body)
	}
	return s
}

// TestBadges: a badge has the rate with what it is one of, and claims nothing where nothing
// is known.
func TestBadges(t *testing.T) {
	full := dashboard.Summary{Revision: "1", Outputs: 100, Compared: 80, Reproduced: 78, Diverged: 2, LedgerSize: 10, Indexed: 10}
	with := func(change func(*dashboard.Summary)) dashboard.Summary {
		s := full
		change(&s)
		return s
	}
	now, hour := time.Now(), time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name     string
		summary  dashboard.Summary
		err      error // of the source
		received time.Time
		missing  error
		status   int
		says     string
		verified bool
	}{
		{"good", full, nil, now, nil, 200, "97.5 % reproduced (78 of 80), 80 of 100 compared", true},
		{"all but one of many", with(func(s *dashboard.Summary) { s.Outputs, s.Compared, s.Reproduced = 100_000, 100_000, 99_999 }), nil, now, nil, 200, "> 99.9 % reproduced (99,999 of 100,000), 100,000 of 100,000 compared", true},
		{"a little behind", with(func(s *dashboard.Summary) { s.LedgerSize = 12 }), nil, now, nil, 200, "97.5 % reproduced (78 of 80), 80 of 100 compared", true},
		{"long behind", with(func(s *dashboard.Summary) { s.LedgerSize = 5010 }), nil, hour, nil, 200, "unverified: 5,000 ledger entries behind", false},
		{"nothing compared", with(func(s *dashboard.Summary) { s.Compared, s.Reproduced = 0, 0 }), nil, now, nil, 200, "unverified: 0 of 100 compared", false},
		{"retired", dashboard.Summary{}, nil, now, nil, 200, "unverified: the set has no outputs", false},
		{"no index", full, nil, now, errors.New("made anew"), 200, "unverified: the index is not there now", false},
		{"fault", full, errors.New("at /var/lib/secret"), now, nil, 200, "unverified: the index does not answer", false},
		{"no set", full, dashboard.ErrNotFound, now, nil, 404, "unverified: no such package set", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine := badges(t, counted{sample(), c.summary, c.err}, c.received, c.missing)
			s := readShield(t, engine, "/badges/sets/release.json", c.status)
			if s.Message != c.says || s.IsError == c.verified || !strings.HasPrefix(s.Label, "release") {
				t.Errorf("the badge says %+v, want %q", s, c.says)
			}
			if c.verified && s.Label != "release 1" {
				t.Errorf("the badge is of %q", s.Label)
			}
			if grey := s.Color == "#58626c"; grey == c.verified {
				t.Errorf("the badge has the colour %s", s.Color)
			}
			response := get(t, engine, "/badges/sets/release.svg")
			if body := text(t, response); response.StatusCode != c.status || titleOf(t, body) != s.Label+": "+c.says {
				t.Errorf("the picture: %s, %s", response.Status, body)
			}
		})
	}
}

// titleOf reads a picture, and what it says.
func titleOf(t *testing.T, svg string) string {
	t.Helper()
	var picture struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		Says    string   `xml:"aria-label,attr"`
		Title   string   `xml:"title"`
		Texts   []string `xml:"text"`
	}
	if err := xml.Unmarshal([]byte(svg), &picture); err != nil {
		t.Fatalf("%v: %s", err, svg)
	}
	if picture.Title != picture.Says || picture.Title != strings.Join(picture.Texts, ": ") {
		t.Errorf("the picture says different things: %s", svg)
	}
	return picture.Title
}

// TestHeadersOfBadges: a badge is kept for minutes, and asked for again by its content.
func TestHeadersOfBadges(t *testing.T) {
	source := sample()
	engine := serve(t, source)
	for _, path := range []string{"/badges/sets/nixos-minimal.svg", "/badges/sets/nixos-minimal.json"} {
		first := get(t, engine, path)
		for name, want := range map[string]string{
			"Cache-Control": "public, max-age=300, must-revalidate", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "*",
		} {
			if got := first.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		etag := first.Header.Get("ETag")
		if again := get(t, engine, path, "If-None-Match", etag); etag == "" || again.StatusCode != http.StatusNotModified || text(t, again) != "" {
			t.Errorf("%s again with %q: %s", path, etag, again.Status)
		}
	}
	etag := get(t, engine, "/badges/sets/nixos-minimal.svg").Header.Get("ETag")
	source.Append(dashboardtest.Entry{At: time.Now(), Builder: "alder", Statement: dashboardtest.Rebuild(nil, dashboardtest.DRV("hello-2.12.1"), "", dashboardtest.Out("hello-2.12.1", ""), "another")})
	if again := get(t, engine, "/badges/sets/nixos-minimal.svg", "If-None-Match", etag); again.StatusCode != http.StatusOK {
		t.Errorf("after another claim: %s", again.Status)
	}
}

// TestHostileBadges: names are text, of one line and a bounded length.
func TestHostileBadges(t *testing.T) {
	for _, revision := range []string{attack, strings.Repeat("long ", 100), "a\x00\n\u202eb\xff"} {
		engine := badges(t, counted{sample(), dashboard.Summary{Revision: revision, Outputs: 1}, nil}, time.Now(), nil)
		name := url.PathEscape("x\"><script>alert(1)<&'\u202e")
		svg := text(t, get(t, engine, "/badges/sets/"+name+".svg"))
		if strings.Contains(svg, "<script") || strings.Contains(svg, "\u202e") || strings.Contains(svg, "\n<") || len(svg) > 4000 {
			t.Errorf("the picture is %s", svg)
		}
		if title := titleOf(t, svg); !strings.HasPrefix(title, `x"><script>alert(1)<&'`+"\uFFFD") || len([]rune(title)) > 130 {
			t.Errorf("the picture says %q", title)
		}
		s := readShield(t, engine, "/badges/sets/"+name+".json", 200)
		if strings.ContainsAny(s.Label, "\x00\n\u202e") || len([]rune(s.Label)) > 60 {
			t.Errorf("the badge is of %q", s.Label)
		}
	}
}
