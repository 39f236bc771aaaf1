package query_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	web "repronet.dev/aggregator/http"
	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/internal/chdb/chdbtest"
)

// counting notes the statements that go to ClickHouse.
type counting struct {
	mu         sync.Mutex // guards statements
	statements []string
}

func (c *counting) send(to http.RoundTripper, r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	statement := r.URL.Query().Get("query") + string(body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if !strings.Contains(statement, "displayName()") { // with which a connection begins
		c.mu.Lock()
		c.statements = append(c.statements, statement)
		c.mu.Unlock()
	}
	return to.RoundTrip(r)
}

func (c *counting) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	statements := c.statements
	c.statements = nil
	return statements
}

// growingBuild is the build whose outputs, claims and failures grow.
func growingBuild() string { return dashboardtest.DRV("growing") }

// growing has n of everything that a page lists: outputs of a build and claims on
// them that diverge by their inputs, builds, failures, builders, package sets, and
// outputs on which an operator copied.
func growing(n int) *dashboardtest.Scenario {
	s := &dashboardtest.Scenario{}
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	say := func(builder string, statement *attestation.Statement) {
		at = at.Add(time.Second)
		for i := range statement.Builds {
			statement.Builds[i].Finished = at
		}
		s.Entries = append(s.Entries, dashboardtest.Entry{At: at, Builder: builder, Statement: statement})
	}
	operators := 5 + n
	for i := range operators {
		name := fmt.Sprintf("operator-%02d", i)
		s.Builders = append(s.Builders, dashboardtest.Builder{Label: name, Operator: name, Tier: enrolment.Counted})
	}
	of := func(kind string, i int) string { return dashboardtest.Out(fmt.Sprintf("%s-%02d", kind, i), "") }
	for b, builder := range s.Builders {
		whole := attestation.Build{Name: growingBuild(), Occasion: attestation.OccasionBuild, InputsDigest: dashboardtest.Digest(builder.Label)}
		statement := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
		for i := range n {
			digest := dashboardtest.Digest(fmt.Sprint("growing", i, b%3))
			whole.Outputs = append(whole.Outputs, len(statement.Subjects))
			statement.Subjects = append(statement.Subjects, attestation.Subject{Name: of("growing", i), Digest: digest})
		}
		statement.Builds = append(statement.Builds, whole)
		for i := range 5 + n { // on which all scatter but the last two
			digest := dashboardtest.Digest(fmt.Sprint("scattered", i, min(b, operators-2)))
			statement.Builds = append(statement.Builds, attestation.Build{
				Name: dashboardtest.DRV(fmt.Sprintf("scattered-%02d", i)), Outputs: []int{len(statement.Subjects)}, Occasion: attestation.OccasionBuild,
			})
			statement.Subjects = append(statement.Subjects, attestation.Subject{Name: of("scattered", i), Digest: digest})
		}
		say(builder.Label, statement)
	}
	for range n {
		say(s.Builders[0].Label, &attestation.Statement{
			Type: attestation.BuildFailed, Ecosystem: "nix", DigestKind: attestation.File,
			Builds:   []attestation.Build{{Name: growingBuild(), Outputs: []int{0}, Occasion: attestation.OccasionBuild, Failure: fmt.Sprint("at ", at)}},
			Subjects: []attestation.Subject{{Name: growingBuild(), Digest: dashboardtest.Digest("growing")}},
		})
	}
	for i := range n {
		var members []dashboardtest.Member
		for k := range n {
			members = append(members, dashboardtest.Member{Key: of("growing", k), Maintainers: []string{"ada"}, Inputs: []string{of("scattered", k), of("scattered", k+1)}})
		}
		for k := range 5 + n {
			members = append(members, dashboardtest.Member{Key: of("scattered", k)})
		}
		at = at.Add(time.Second)
		s.Entries = append(s.Entries, dashboardtest.Entry{At: at, Set: &dashboardtest.Set{
			Name: fmt.Sprintf("set-%02d", i), Revision: "1", Ecosystem: "nix", Members: members,
		}})
	}
	return s
}

// growingKeys are keys of each kind, n of most.
func growingKeys(n int) []string {
	keys := []string{growingBuild(), "pkg:golang/example.org/none@v1.0.0", "example/name"}
	for i := range n {
		keys = append(keys, dashboardtest.Out(fmt.Sprintf("growing-%02d", i), ""), dashboardtest.DRV(fmt.Sprintf("scattered-%02d", i)),
			dashboardtest.Digest(fmt.Sprint("scattered", i, 0)).Hex(), dashboardtest.Out(fmt.Sprintf("absent-%02d", i), ""))
	}
	return keys
}

// pages serves pages and API of a scenario, and counts what they ask.
func pages(t *testing.T, scenario *dashboardtest.Scenario) (http.Handler, *counting) {
	t.Helper()
	options := chdbtest.Database(t)
	statements := &counting{}
	chdbtest.Through(t, options, statements.send)
	s := must(store.Open(t.Context(), options))
	ended := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		conn := must(clickhouse.Open(options))
		defer conn.Close()
		if err := conn.Exec(ended, "DROP DATABASE IF EXISTS "+options.Auth.Database+"_1 SYNC"); err != nil {
			t.Error(err)
		}
	})
	l := write(t.Context(), scenario)
	x := must(index.New(t.Context(), index.Config{}, s, l))
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := query.New(s, l, x)
	server := must(web.New(web.Config{Logger: slog.New(slog.DiscardHandler)}, web.Parts{Source: q, Suggestions: q.Suggestions}))
	return server, statements
}

// TestStatementsOfPages counts what pages and operations ask of ClickHouse: the
// same number, whether what they list has 1, 10 or 50 rows.
func TestStatementsOfPages(t *testing.T) {
	sizes := []int{1, 10, 50}
	var servers []http.Handler
	var counts []*counting
	for _, n := range sizes {
		server, statements := pages(t, growing(n))
		servers, counts = append(servers, server), append(counts, statements)
	}
	digest := dashboardtest.Digest("scattered0 0").String()
	copier := func(n int) string { return string(dashboardtest.ID(fmt.Sprintf("operator-%02d", n+4))) }
	for _, page := range []struct {
		name string
		path func(n int) string // of a page or an operation, in the world of that size
		most int                // statements
		// keys are looked up, in the place of a GET.
		keys func(n int) []string
	}{
		{"many keys", func(int) string { return api.LookupPath }, 7, growingKeys},
		{"overview", func(int) string { return "/" }, 15, nil},
		{"overview of a set", func(int) string { return "/?set=set-00" }, 19, nil},
		{"a build", func(int) string { return "/builds" + growingBuild() }, 11, nil},
		{"a build in the API", func(int) string { return "/api/v1/builds?name=" + growingBuild() }, 11, nil},
		{"an output", func(int) string { return "/api/v1/outputs?name=" + dashboardtest.Out("growing-00", "") }, 10, nil},
		{"divergences", func(int) string { return "/divergences" }, 10, nil},
		{"divergences that are inherited", func(int) string { return "/divergences?cause=inherited" }, 10, nil},
		{"builders", func(int) string { return "/builders" }, 8, nil},
		{"a builder that copies", func(n int) string { return "/builders/" + copier(n) }, 14, nil},
		{"a search", func(int) string { return "/search?q=scattered" }, 24, nil},
		{"a digest", func(int) string { return "/api/v1/outputs?digest=" + digest }, 6, nil},
		{"coverage", func(int) string { return "/coverage?set=set-00" }, 11, nil},
		{"package sets", func(int) string { return "/api/v1/sets" }, 2, nil},
		{"page of package sets", func(int) string { return "/sets" }, 5, nil},
		{"a set", func(int) string { return "/sets/set-00" }, 18, nil},
		{"a revision", func(int) string { return "/sets/set-00/1" }, 11, nil},
		{"packages", func(int) string { return "/packages" }, 3, nil},
		{"a package", func(int) string { return "/packages/growing" }, 22, nil},
		{"maintainers", func(int) string { return "/maintainers" }, 4, nil},
		{"a maintainer", func(int) string { return "/maintainers/ada" }, 11, nil},
		{"feed of a package", func(int) string { return "/packages/growing.atom" }, 22, nil},
		{"badge of a package", func(int) string { return "/badges/packages/growing.svg" }, 19, nil},
		{"feed", func(int) string { return "/divergences.atom" }, 5, nil},
		{"feed of a set", func(int) string { return "/sets/set-00.atom" }, 9, nil},
		{"list", func(int) string { return "/divergences.csv" }, 9, nil},
		{"badge", func(int) string { return "/badges/sets/set-00.svg" }, 3, nil},
		{"status", func(int) string { return "/status" }, 2, nil},
	} {
		t.Run(page.name, func(t *testing.T) {
			var asked []string
			for i, n := range sizes {
				counts[i].take()
				response := httptest.NewRecorder()
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, page.path(n), nil)
				if page.keys != nil {
					request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, page.path(n), strings.NewReader(strings.Join(page.keys(n), "\n")))
					request.Header.Set("Content-Type", api.TextType)
				}
				servers[i].ServeHTTP(response, request)
				if response.Code != http.StatusOK {
					t.Fatalf("%s: status %d: %s", page.path(n), response.Code, response.Body)
				}
				now := counts[i].take()
				if len(now) > page.most {
					t.Errorf("%d statements with %d rows, at most %d are allowed:\n%s", len(now), n, page.most, strings.Join(now, "\n"))
				}
				if i > 0 && len(now) != len(asked) {
					t.Errorf("%d statements with %d rows, %d with %d:\n%s", len(now), n, len(asked), sizes[i-1], strings.Join(now, "\n"))
				}
				asked = now
			}
			t.Logf("%d statements", len(asked))
		})
	}
}
