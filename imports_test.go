package repronet_test

import (
	"os/exec"
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
	{"./attestation/...", []string{"repronet/"}, "the claim imports nothing of ours"},
	{"./signing/...", parts("repronet/ledger", "repronet/divergence"), "libraries know none of the parts"},
	{"./ledger", parts(), "libraries know none of the parts"},
	{"./enrolment/...", parts(), "libraries know none of the parts"},
	{"./divergence/...", parts(), "libraries know none of the parts"},
	{"./aggregator/index/...", []string{"repronet/aggregator/state", "repronet/aggregator/joining"}, "what is no evidence moves no verdict"},
	{"./pkgset/...", parts(), "libraries know none of the parts"},
	{"./internal/...", parts(), "libraries know none of the parts"},
	{"./divergence/...", []string{"database/sql", "github.com/ClickHouse/", "os/exec", "net/http"}, "verdicts are a pure function"},
	{"./reporter/...", []string{"repronet/aggregator", "repronet/dashboard", "repronet/verify"}, "the reporter is no server"},
	{"./cmd/repronet-reporter", servers(), "the reporter's binary is light"},
	{"./dashboard", []string{"repronet/aggregator", "repronet/reporter", "repronet/verify", "github.com/ClickHouse/"}, "the dashboard reads from a Source"},
	{"./verify/...", append(servers(), "repronet/aggregator", "repronet/dashboard", "repronet/reporter"), "who checks the aggregator shares no code with it"},
	{"./cmd/repronet-verify", servers(), "who checks the aggregator shares no code with it"},
}

func parts(more ...string) []string {
	return append(more, "repronet/aggregator", "repronet/reporter", "repronet/verify", "repronet/dashboard", "repronet/e2e", "repronet/cmd")
}

func servers() []string {
	return []string{
		"github.com/gin-gonic/", "github.com/ClickHouse/", "github.com/transparency-dev/tessera",
		"repronet/ledger/append", "repronet/internal/chdb",
	}
}

// only says that a dependency may be imported by these packages alone.
var only = map[string][]string{
	"github.com/sigstore/sigstore-go/":     {"repronet/signing"},
	"github.com/transparency-dev/tessera":  {"repronet/ledger/append"},
	"github.com/robfig/cron/":              {"repronet/aggregator/schedule"},
	"github.com/ebitengine/purego":         {"repronet/internal/chdb"},
	"github.com/libp2p/go-libp2p":          {"repronet/internal/wire"},
	"github.com/ProtonMail/go-crypto":      {"repronet/evidence"},
	"github.com/danielgtaylor/huma/":       {"repronet/dashboard"},
	"go.yaml.in/yaml/":                     {"repronet/aggregator", "repronet/verify/policy"},
	"github.com/prometheus/client_golang/": {"repronet/aggregator"},
	"modernc.org/sqlite":                   {"repronet/aggregator/state", "repronet/reporter/collect"},
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

func TestEachLibraryHasOnePlace(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{range $i := .Imports}}{{$.ImportPath}} {{$i}}{{"\n"}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		importer, imported, _ := strings.Cut(strings.TrimSpace(line), " ")
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
