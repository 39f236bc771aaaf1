package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
)

// oddNames is a scenario with packages and maintainers whose names are hard to tell from paths
// and from documents beside pages.
func oddNames() *dashboardtest.Scenario {
	s := &dashboardtest.Scenario{Builders: []dashboardtest.Builder{{Label: "a", Operator: "ash", Tier: enrolment.Counted}}}
	at := time.Now().Add(-time.Hour)
	say := func(ecosystem, build, key string) {
		statement := dashboardtest.Rebuild(nil, build, "", key, "digest of "+key)
		statement.Ecosystem, statement.DigestKind = ecosystem, attestation.File
		s.Entries = append(s.Entries, dashboardtest.Entry{At: at, Builder: "a", Statement: statement})
	}
	say("nix", dashboardtest.DRV("config.json"), dashboardtest.Out("config.json", ""))
	say("nix", dashboardtest.DRV("config-1.0"), dashboardtest.Out("config-1.0", ""))
	say("nix", dashboardtest.DRV("feed.atom"), dashboardtest.Out("feed.atom", ""))
	say("go", "golang.org/x/tools/gopls@v0.16.0", "golang.org/x/tools/gopls@v0.16.0^gopls")
	say("debian", "bash@5.2/amd64", "bash@5.2/amd64^bash_5.2_amd64.deb")
	say("nix", dashboardtest.DRV("bash-5.3"), dashboardtest.Out("bash-5.3", ""))
	s.Entries = append(s.Entries, dashboardtest.Entry{At: at, Set: &dashboardtest.Set{Name: "odd", Revision: "1", Ecosystem: "nix", Members: []dashboardtest.Member{
		{Key: dashboardtest.Out("bash-5.3", ""), Attribute: "bash", Maintainers: []string{"ada.json", "ada/lovelace", "Grüße <g@example.org>"}},
	}}})
	return s
}

// TestNamesOfPackages: each package and maintainer has a page by its name, whatever that is, and
// the lists lead there.
func TestNamesOfPackages(t *testing.T) {
	engine := serve(t, dashboardtest.NewFake(oddNames()))
	for path, want := range map[string]string{
		"/packages/config":                                   "<h1>config</h1>",
		"/packages/config.json/":                             "<h1>config.json</h1>",
		"/packages/config.json/?ecosystem=nix":               "<h1>config.json</h1>",
		"/packages/config.json":                              `"name":"config",`,
		"/packages/config.json.json":                         `"name":"config.json",`,
		"/packages/feed.atom/":                               "<h1>feed.atom</h1>",
		"/packages/feed.atom.csv":                            "feed.atom,nix,",
		"/packages/golang.org/x/tools/gopls":                 "<h1>golang.org/x/tools/gopls</h1>",
		"/packages/golang.org%2Fx%2Ftools%2Fgopls":           "<h1>golang.org/x/tools/gopls</h1>",
		"/packages/golang.org/x/tools/gopls.json":            `"ecosystem":"go"`,
		"/api/v1/packages/golang.org%2Fx%2Ftools%2Fgopls":    `"ecosystem":"go"`,
		"/packages/bash":                                     `also in <a href="/packages/bash?ecosystem=nix">nix</a>`,
		"/packages/bash?ecosystem=nix":                       `also in <a href="/packages/bash?ecosystem=debian">debian</a>`,
		"/packages/pkg:deb/debian/bash":                      "bash_5.2_amd64.deb",
		"/packages/pkg:nix/bash":                             "bash-5.3",
		"/maintainers/ada.json/":                             "<h1>ada.json</h1>",
		"/maintainers/ada%2Flovelace":                        "<h1>ada/lovelace</h1>",
		"/maintainers/ada/lovelace.json":                     `"name":"ada/lovelace"`,
		"/maintainers/Gr%C3%BC%C3%9Fe%20%3Cg@example.org%3E": "<h1>Grüße &lt;g@example.org&gt;</h1>",
		"/packages":    `href="/packages/config.json/?ecosystem=nix"`,
		"/maintainers": `href="/maintainers/ada.json/"`,
	} {
		response := get(t, engine, path)
		if body := text(t, response); response.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %s in: %.600s", path, response.Status, want, body)
		}
	}
	for path, status := range map[string]int{
		"/packages/":                                http.StatusMovedPermanently,
		"/maintainers/":                             http.StatusMovedPermanently,
		"/packages/none":                            http.StatusNotFound,
		"/packages/bash?ecosystem=arch":             http.StatusNotFound,
		"/packages/bash?cursor=x":                   http.StatusNotFound,
		"/packages?cursor=x":                        http.StatusNotFound,
		"/packages/none.atom":                       http.StatusNotFound,
		"/maintainers/none.csv":                     http.StatusNotFound,
		"/packages/bash.csv?ecosytem=nix":           http.StatusUnprocessableEntity,
		"/maintainers/ada.json.atom?limit=1":        http.StatusUnprocessableEntity,
		"/packages/" + strings.Repeat("x", 10_000):  http.StatusUnprocessableEntity,
		"/packages/" + strings.Repeat("x/", 10_000): http.StatusUnprocessableEntity,
		"/maintainers/" + strings.Repeat("é", 5000): http.StatusUnprocessableEntity,
		"/packages?q=" + strings.Repeat("x", 601):   http.StatusUnprocessableEntity,
	} {
		response := get(t, engine, path)
		if body := text(t, response); response.StatusCode != status || status != http.StatusMovedPermanently && !strings.Contains(body, ".") {
			t.Errorf("%.60s: %s, want %d: %.300s", path, response.Status, status, body)
		}
	}
}

// TestPackageDocuments: what stands beside the pages of a package and a maintainer says the same
// as they.
func TestPackageDocuments(t *testing.T) {
	engine := serve(t, dashboardtest.NewFake(dashboardtest.Packaged()))
	rows, parts := readCSV(t, engine, "/packages/hello.csv?limit=1")
	if len(rows) != 6 || parts != 3 || strings.Join(rows[3], ",") != "hello,nix,2.12.1,aarch64-linux,1,0,0,1,0,single" {
		t.Errorf("%d rows in %d parts: %q", len(rows), parts, rows)
	}
	rows, _ = readCSV(t, engine, "/maintainers/ada.csv")
	var what []string
	for _, row := range rows[1:] {
		what = append(what, row[0])
	}
	if strings.Join(what, " ") != "regression unconfirmed unconfirmed unconfirmed" || rows[1][7] != dashboardtest.Out("hello-2.9", "") {
		t.Errorf("rows of a maintainer: %q", rows)
	}
	for path, page := range map[string]string{
		"/packages/hello.json": "/api/v1/packages/hello", "/maintainers/ada.json": "/api/v1/maintainers/ada",
	} {
		if text(t, get(t, engine, path)) != text(t, get(t, engine, page)) {
			t.Errorf("%s is not what %s says", path, page)
		}
	}
	for path, self := range map[string]string{"/packages/hello.atom": "/packages/hello.atom?ecosystem=nix", "/maintainers/ada.atom": "/maintainers/ada.atom"} {
		feed := text(t, get(t, engine, path))
		if strings.Count(feed, "<entry>") != 1 || !strings.Contains(feed, "hello-2.12.1 diverged") || !strings.Contains(feed, `href="https://repro.example.org`+self+`"`) {
			t.Errorf("%s: %s", path, feed)
		}
	}
	issue := text(t, get(t, engine, "/packages/hello"))
	for _, said := range []string{"Unreproducible package: `hello`", "nix-build", "`chestnut against 2 who agree`", "`hello`", "https://repro.example.org/builds/nix/store/"} {
		if !strings.Contains(issue, said) {
			t.Errorf("the issue does not say %q", said)
		}
	}
}

// onePackage is a source with one package.
type onePackage struct {
	dashboard.Source
	of      api.PackageState
	covered dashboard.Summary
	err     error
}

func (s onePackage) Package(_ context.Context, query dashboard.VersionsQuery) (*dashboard.Package, error) {
	return &dashboard.Package{Name: query.Name, Newest: s.of}, s.err
}

func (s onePackage) Summary(context.Context, string) (*dashboard.Summary, error) {
	return &s.covered, nil
}

// TestPackageBadges: a badge names the version, and claims nothing where nothing is known.
func TestPackageBadges(t *testing.T) {
	state := func(c api.VerdictCounts) (s api.PackageState) {
		s.Version, s.VerdictCounts = "1.2", c
		return s
	}
	now, hour := time.Now(), time.Now().Add(-time.Hour)
	current, behind := dashboard.Summary{LedgerSize: 10, Indexed: 10}, dashboard.Summary{LedgerSize: 5010, Indexed: 10}
	good := state(api.VerdictCounts{Reproduced: 3})
	for _, c := range []struct {
		name     string
		source   onePackage
		received time.Time
		missing  error
		status   int
		says     string
		verified bool
		colour   string
	}{
		{"good", onePackage{of: good, covered: current}, now, nil, 200, "3 of 3 outputs reproduced, 0 diverged", true, "#17693f"},
		{"diverged", onePackage{of: state(api.VerdictCounts{Reproduced: 1, Diverged: 1}), covered: current}, now, nil, 200, "1 of 2 outputs reproduced, 1 diverged", true, "#a3301a"},
		{"few", onePackage{of: state(api.VerdictCounts{Reproduced: 1, Single: 2}), covered: current}, now, nil, 200, "1 of 3 outputs reproduced, 0 diverged", true, "#1f4e9c"},
		{"nothing compared", onePackage{of: state(api.VerdictCounts{Single: 2}), covered: current}, now, nil, 200, "unverified: 0 of 2 compared", false, "#58626c"},
		{"nothing built", onePackage{covered: current}, now, nil, 200, "unverified: no operator who counts built it", false, "#58626c"},
		{"a little behind", onePackage{of: good, covered: behind}, now, nil, 200, "3 of 3 outputs reproduced, 0 diverged", true, "#17693f"},
		{"long behind", onePackage{of: good, covered: behind}, hour, nil, 200, "unverified: 5,000 ledger entries behind", false, "#58626c"},
		{"no index", onePackage{of: good, covered: current}, now, errors.New("made anew"), 200, "unverified: the index is not there now", false, "#58626c"},
		{"fault", onePackage{err: errors.New("at /var/lib/secret")}, now, nil, 200, "unverified: the index does not answer", false, "#58626c"},
		{"none", onePackage{err: dashboard.ErrNotFound}, now, nil, 404, "unverified: no such package", false, "#58626c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.source.Source = sample()
			engine := badges(t, c.source, c.received, c.missing)
			s := readShield(t, engine, "/badges/packages/hello.json?ecosystem=nix&again=1", c.status)
			if s.Message != c.says || s.IsError == c.verified || s.Color != c.colour || !strings.HasPrefix(s.Label, "hello") {
				t.Errorf("the badge says %+v, want %q", s, c.says)
			}
			if c.verified && s.Label != "hello 1.2" {
				t.Errorf("the badge is of %q", s.Label)
			}
			response := get(t, engine, "/badges/packages/hello.svg")
			if body := text(t, response); response.StatusCode != c.status || titleOf(t, body) != s.Label+": "+c.says {
				t.Errorf("the picture: %s, %s", response.Status, body)
			}
		})
	}
	engine := badges(t, onePackage{Source: sample(), of: good, covered: current}, now, nil)
	hostile := url.PathEscape("x\"><script>alert(1)<&'\u202e")
	svg := text(t, get(t, engine, "/badges/packages/"+hostile+".svg"))
	if strings.Contains(svg, "<script") || strings.Contains(svg, "\u202e") {
		t.Errorf("the picture is %s", svg)
	}
	var s shield
	long := get(t, engine, "/badges/packages/"+strings.Repeat("x", 10_000)+".json")
	if err := json.Unmarshal([]byte(text(t, long)), &s); err != nil || long.StatusCode != http.StatusNotFound || s.Message != "unverified: no package has such a name" {
		t.Errorf("a name of 10 kB: %s, %+v, %v", long.Status, s, err)
	}
}
