package repronet_test

import (
	"iter"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rules say which packages must not be among the dependencies of which: the
// house's import directions. A pattern ends in /... for a package and those below.
var rules = []struct {
	of     string
	never  []string
	reason string
}{
	{"./ecosystem/...", []string{"repronet.dev/"}, "what names mean imports nothing of ours"},
	{"./attestation/...", parts("repronet.dev/signing", "repronet.dev/ledger", "repronet.dev/divergence", "repronet.dev/enrolment", "repronet.dev/evidence", "repronet.dev/pkgset", "repronet.dev/outputmap", "repronet.dev/internal/chdb", "repronet.dev/internal/cli", "repronet.dev/internal/durable", "repronet.dev/internal/redirects", "repronet.dev/internal/version", "repronet.dev/internal/wire"), "the claim knows what names mean, how its own spelling is read, and nothing else"},
	{"./signing", []string{"github.com/sigstore/sigstore-go", "repronet.dev/ledger"}, "who only signs pays for no checking"},
	{"./signing/...", parts("repronet.dev/ledger", "repronet.dev/divergence"), "libraries know none of the parts"},
	{"./ledger", parts(), "libraries know none of the parts"},
	{"./enrolment/...", parts(), "libraries know none of the parts"},
	{"./divergence/...", parts(), "libraries know none of the parts"},
	{"./aggregator/index/...", []string{"repronet.dev/aggregator/state", "repronet.dev/aggregator/joining"}, "what is no evidence moves no verdict"},
	{"./pkgset/...", parts(), "libraries know none of the parts"},
	{"./reading", parts("repronet.dev/outputmap", "repronet.dev/api"), "libraries know none of the parts"},
	{"./outputmap/...", parts(), "libraries know none of the parts"},
	{"./replay/...", append(parts(), servers()...), "libraries know none of the parts"},
	{"./snapshot/...", append(parts(), servers()...), "libraries know none of the parts"},
	{"./internal/...", parts("repronet.dev/api"), "what carries documents knows none"},
	{"./api", append(parts("repronet.dev/enrolment", "repronet.dev/evidence", "repronet.dev/outputmap"), servers()...), "the API is for strangers to import"},
	{"./aggregator/http", []string{"github.com/ClickHouse/", "repronet.dev/aggregator/store", "repronet.dev/aggregator/index", "repronet.dev/aggregator/query"}, "handlers know no database"},
	{"./divergence/...", []string{"database/sql", "github.com/ClickHouse/", "os/exec", "net/http"}, "verdicts are a pure function"},
	{"./reporter/...", []string{"repronet.dev/aggregator", "repronet.dev/dashboard", "repronet.dev/verify"}, "the reporter is no server"},
	{"./cmd/repronet-reporter", servers(), "the reporter's binary is light"},
	{"./dashboard", []string{"repronet.dev/aggregator", "repronet.dev/reporter", "repronet.dev/verify", "github.com/ClickHouse/"}, "the dashboard reads from a Source"},
	{"./verify/...", append(servers(), "repronet.dev/aggregator", "repronet.dev/dashboard", "repronet.dev/reporter"), "who checks the aggregator shares no code with it"},
	{"./cmd/repronet-verify", servers(), "who checks the aggregator shares no code with it"},
}

func parts(more ...string) []string {
	return append(more, "repronet.dev/aggregator", "repronet.dev/reporter", "repronet.dev/verify", "repronet.dev/dashboard", "repronet.dev/e2e", "repronet.dev/cmd")
}

func servers() []string {
	return []string{
		"github.com/gin-gonic/", "github.com/ClickHouse/", "github.com/transparency-dev/tessera",
		"repronet.dev/ledger/writer", "repronet.dev/internal/chdb",
	}
}

// only says that a dependency may be imported by these packages alone.
var only = map[string][]string{
	"github.com/sigstore/sigstore-go/":     {"repronet.dev/signing/sigstore"},
	"github.com/transparency-dev/tessera":  {"repronet.dev/ledger/writer"},
	"github.com/AfterShip/":                {"repronet.dev/aggregator/console"},
	"github.com/robfig/cron/":              {"repronet.dev/aggregator/schedule", "repronet.dev/reporter/command"},
	"github.com/ebitengine/purego":         {"repronet.dev/internal/chdb"},
	"github.com/libp2p/go-libp2p":          {"repronet.dev/internal/wire"},
	"github.com/ProtonMail/go-crypto":      {"repronet.dev/evidence"},
	"github.com/gin-gonic/":                {"repronet.dev/aggregator/http", "repronet.dev/dashboard"},
	"github.com/danielgtaylor/huma/":       {"repronet.dev/aggregator/http"},
	"go.yaml.in/yaml/":                     {"repronet.dev/aggregator", "repronet.dev/verify/policy", "repronet.dev/evidence/gitian"},
	"github.com/prometheus/client_golang/": {"repronet.dev/aggregator"},
	"github.com/parquet-go/":               {"repronet.dev/snapshot"},
	"modernc.org/sqlite":                   {"repronet.dev/aggregator/state", "repronet.dev/reporter/collect"},
}

func TestImportDirections(t *testing.T) {
	for _, rule := range rules {
		// Packages that exist for tests may use what they test against.
		own := slices.DeleteFunc(list(t, rule.of), func(p string) bool { return strings.HasSuffix(p, "test") })
		for _, dependency := range list(t, append([]string{"-deps"}, own...)...) {
			for _, never := range rule.never {
				if strings.HasPrefix(dependency, never) && !slices.Contains(own, dependency) {
					t.Errorf("%s depends on %s: %s", rule.of, dependency, rule.reason)
				}
			}
		}
	}
}

// TestArchitecture holds the table of docs/architecture.md to what the packages
// import: each row knows what stands in its last column, no more and no less.
func TestArchitecture(t *testing.T) {
	document, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	want := map[string][]string{} // by folder
	for line := range strings.Lines(string(document)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		folder := strings.TrimSuffix(quoted.FindStringSubmatch(cells[1])[1], "/")
		want[folder] = []string{}
		for _, known := range quoted.FindAllStringSubmatch(cells[3], -1) {
			want[folder] = append(want[folder], known[1])
		}
	}
	if len(want) < 20 {
		t.Fatalf("%d rows were read", len(want))
	}
	rowOf := func(pkg string) string {
		row := ""
		for folder := range want {
			if strings.HasPrefix(pkg+"/", "repronet.dev/"+folder+"/") && len(folder) > len(row) {
				row = folder
			}
		}
		return row
	}
	got := map[string][]string{}
	for importer, imported := range imports(t) {
		if !strings.HasPrefix(imported, "repronet.dev/") || strings.HasSuffix(importer, "test") || strings.HasSuffix(imported, "test") {
			continue
		}
		from, to := rowOf(importer), rowOf(imported)
		if from == "" || to == "" {
			t.Errorf("%s or %s is in no row", importer, imported)
		}
		if from != to && !slices.Contains(got[from], to) {
			got[from] = append(got[from], to)
		}
	}
	for folder, known := range want {
		slices.Sort(got[folder])
		slices.Sort(known)
		if !slices.Equal(known, got[folder]) {
			t.Errorf("%s knows %q, and the document says %q", folder, got[folder], known)
		}
	}
}

// imports yields each package with each that it imports.
func imports(t *testing.T) iter.Seq2[string, string] {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{range $i := .Imports}}{{$.ImportPath}} {{$i}}{{"\n"}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(string(out)) {
			if importer, imported, _ := strings.Cut(strings.TrimSpace(line), " "); !yield(importer, imported) {
				return
			}
		}
	}
}

func TestEachLibraryHasOnePlace(t *testing.T) {
	for importer, imported := range imports(t) {
		for library, places := range only {
			inPlace := func(place string) bool { return strings.HasPrefix(importer+"/", place+"/") }
			if strings.HasPrefix(imported, library) && !slices.ContainsFunc(places, inPlace) {
				t.Errorf("%s imports %s, which belongs in %s", importer, imported, strings.Join(places, ", "))
			}
		}
	}
}

func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}
