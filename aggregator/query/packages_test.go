package query_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/internal/browsertest"
)

// TestPackagePages asks the pages of a planted package and of its maintainer, in Chromium, over
// the index: the sentence, the strip and the dissenter, and exactly the planted regression. A
// client of the API is told the same.
func TestPackagePages(t *testing.T) {
	if os.Getenv("REPRONET_TEST_CLICKHOUSE") != "" {
		t.Skip("the browser looks at the pages once: what they are made of, TestPackagesContract asks by each protocol")
	}
	handler, _ := pages(t, storable(func(time.Time) *dashboardtest.Scenario { return dashboardtest.Packaged() }))
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client := &api.Client{HTTP: http.DefaultClient, Base: server.URL}

	tab := browsertest.Start(t).Open(t, browsertest.Variants()[0])
	texts := func(selector string) []string {
		t.Helper()
		return browsertest.Evaluate[[]string](t, tab, `[...document.querySelectorAll("`+selector+`")].map(e => e.innerText.trim().replace(/\s+/g, " "))`)
	}
	equal := func(what string, got, want any) {
		t.Helper()
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	const sentence = "1 of 3 outputs of 2.12.1 is reproduced by 2 operators; 1 diverges since 7 Mar 2026; 1 was built by one operator only. Of 2.13, nothing is compared yet."
	equal("sentence", tab.Read(t, server.URL+"/packages/hello", "#answer"), sentence)
	equal("systems", texts(".strip thead th"), []string{"Version", "aarch64-linux", "x86_64-linux", "any, or not said"})
	equal("strip", texts(".strip tbody tr"), []string{
		"2.13 – – 1 single 1 of 1", "2.12.1 1 single 1 of 1 ≠ diverged 1 of 1 ✓ reproduced 1 of 1", "2.9 – ✓ reproduced 1 of 1 –",
	})
	equal("dissenter", texts(".divergences .dissent"), []string{"chestnut against 2 who agree"})
	equal("regression", texts(".divergences .regression"), []string{"↘ regression"})
	if issue := texts("#issue ~ details pre"); len(issue) != 1 || !strings.Contains(browsertest.Evaluate[string](t, tab, `document.querySelector("#issue ~ details pre").textContent`), "`chestnut against 2 who agree`") {
		t.Errorf("the issue to copy: %q", issue)
	}
	tab.Read(t, server.URL+"/maintainers/ada", "#answer")
	equal("regressions of a maintainer", texts("section[aria-labelledby=regressions] .name"), []string{"hello-2.12.1"})
	equal("what else diverges", texts("section[aria-labelledby=diverged] .name"), []string{})
	equal("what waits", texts("section[aria-labelledby=waiting] tbody .name"), []string{"tool-1.0", "hello-2.12.1", "late-1"})
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("Chromium says: %q", complaints)
	}

	ctx := t.Context()
	p, err := client.Package(ctx, "nix", "hello", "")
	if err != nil || p.Explanation != sentence {
		t.Errorf("package: %+v, %v", p, err)
	}
	list, err := client.Packages(ctx, api.PackageQuery{Text: "HELLO", Limit: 10})
	if err != nil || len(list.Packages) != 1 || list.Packages[0].Name != "hello" {
		t.Errorf("packages: %+v, %v", list, err)
	}
	m, err := client.Maintainer(ctx, "ada", 10)
	if err != nil || len(m.Regressions) != 1 || m.Regressions[0].Key != dashboardtest.Out("hello-2.12.1", "") {
		t.Errorf("maintainer: %+v, %v", m, err)
	}
	maintainers, err := client.Maintainers(ctx, api.MaintainerQuery{Text: "ada"})
	if err != nil || len(maintainers.Maintainers) != 1 || maintainers.Maintainers[0].Diverged != 1 {
		t.Errorf("maintainers: %+v, %v", maintainers, err)
	}
}
