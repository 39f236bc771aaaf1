package http_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/docs/docstest"
)

const asJSON = "application/json"

func lookUp(t *testing.T, h http.Handler, media, body string, headers ...string) *http.Response {
	t.Helper()
	return request(t, h, http.MethodPost, api.LookupPath, strings.NewReader(body), append([]string{"Content-Type", media}, headers...)...)
}

// TestLookUp asks in both forms: each key is answered in its place, also a key that is none.
func TestLookUp(t *testing.T) {
	server := serve(t, sample())
	openssl := dashboardtest.Out("openssl-3.5.4", "")
	keys := []string{openssl, "<script>", dashboardtest.DRV("openssl-3.5.4"), openssl, strings.Repeat("x", api.MaxLookupKey+1), "\x1b[2J"}
	states := []api.LookupState{api.KeyKnown, api.KeyInvalid, api.KeyKnown, api.KeyKnown, api.KeyInvalid, api.KeyInvalid}
	asked, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	response := lookUp(t, server, asJSON, string(asked))
	body := text(t, response)
	document(t, server).Check(t, "POST "+api.LookupPath, response, []byte(body))
	var answer api.Lookups
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Indexed == 0 || len(answer.Keys) != len(keys) {
		t.Fatalf("%s: %v", body, err)
	}
	for i, key := range answer.Keys {
		if key.State != states[i] || len(keys[i]) <= api.MaxLookupKey && key.Key != keys[i] || (key.State == api.KeyInvalid) != (key.Reason != "") {
			t.Errorf("key %d: %+v, want %s", i, key, states[i])
		}
		if len(key.Key) > 200 {
			t.Errorf("a key of %d bytes is in the answer", len(key.Key))
		}
	}
	lines := lookUp(t, server, api.TextType, strings.Join(keys, "\n")+"\n")
	var rows []api.Lookup
	for line := range strings.Lines(text(t, lines)) {
		var row api.Lookup
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if diff := cmp.Diff(answer.Keys, rows); diff != "" || lines.Header.Get(api.IndexedHeader) != fmt.Sprint(answer.Indexed) {
		t.Errorf("%v (-array +lines):\n%s", lines.Header, diff)
	}
	if response := lookUp(t, server, asJSON, "[]"); response.StatusCode != http.StatusOK || !strings.Contains(text(t, response), `"keys":[]`) {
		t.Errorf("no keys: status %d", response.StatusCode)
	}
}

// TestBadLookUps sends what is no request to look keys up; docs/bad-input.md has the answers.
func TestBadLookUps(t *testing.T) {
	server := serve(t, sample())
	var table strings.Builder
	fmt.Fprint(&table, "| request | status | kind | sentence |\n|---|---|---|---|\n")
	many := func(n int, key string) string { return "[" + strings.TrimSuffix(strings.Repeat(key+",", n), ",") + "]" }
	for _, bad := range []struct {
		name, media, body string
		headers           []string
		kind              api.ProblemKind
	}{
		{"an empty body", asJSON, "", nil, api.ProblemMalformed},
		{"another Content-Type", "text/html", "x", nil, api.ProblemMediaType},
		{"a form", "application/x-www-form-urlencoded", "key=x", nil, api.ProblemMediaType},
		{"another Content-Encoding", asJSON, "[]", []string{"Content-Encoding", "br"}, api.ProblemMediaType},
		{"no array", asJSON, `{"keys":["x"]}`, nil, api.ProblemMalformed},
		{"a number among the keys", asJSON, `["x",1]`, nil, api.ProblemMalformed},
		{"an array among the keys", asJSON, `["x",["y"]]`, nil, api.ProblemMalformed},
		{"a null among the keys", asJSON, `["x",null]`, nil, api.ProblemMalformed},
		{"an array that is cut off", asJSON, `["x","y`, nil, api.ProblemMalformed},
		{"a second array", asJSON, `["x"]["y"]`, nil, api.ProblemMalformed},
		{"bytes that are no UTF-8", asJSON, "[\"\xff\"]", nil, api.ProblemMalformed},
		{"arrays in arrays, two million deep", asJSON, strings.Repeat("[", 2<<20), nil, api.ProblemMalformed},
		{"10,001 keys", asJSON, many(api.MaxLookupKeys+1, `""`), nil, api.ProblemTooLarge},
		{"a million keys", asJSON, many(1_000_000, `""`), nil, api.ProblemTooLarge},
		{"10,001 lines", api.TextType, strings.Repeat("x\n", api.MaxLookupKeys+1), nil, api.ProblemTooLarge},
		{"four million lines", api.TextType, strings.Repeat("\n", api.MaxLookupSize), nil, api.ProblemTooLarge},
		{"5 MiB", asJSON, many(10_000, `"`+strings.Repeat("x", 520)+`"`), nil, api.ProblemTooLarge},
	} {
		response := lookUp(t, server, bad.media, bad.body, bad.headers...)
		body := text(t, response)
		checkProblem(t, response, body)
		var problem api.Problem
		if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Kind() != bad.kind {
			t.Errorf("%s: %s, want %s", bad.name, body, bad.kind)
		}
		fmt.Fprintf(&table, "| %s | %d | `%s` | %s |\n", bad.name, response.StatusCode, problem.Kind(), problem.Detail)
	}
	fmt.Fprint(&table, "\n| key | why it is invalid |\n|---|---|\n")
	for _, key := range []string{
		"", "<script>alert(1)</script>", "a\x1b[2Jb", "/etc/passwd", "../../etc/passwd", "/nix/store/short-hello", strings.Repeat("a", 32),
		"/nix/store/" + strings.Repeat("a", 32) + "-hello^out", "pkg:npm/left-pad@1", "pkg:nix/hello@2.12.1", "pkg:deb/debian/bash@5.2.15-2",
	} {
		asked, err := json.Marshal([]string{key})
		if err != nil {
			t.Fatal(err)
		}
		var answer api.Lookups
		decode(t, lookUp(t, server, asJSON, string(asked)), &answer)
		if len(answer.Keys) != 1 || answer.Keys[0].State != api.KeyInvalid {
			t.Errorf("%q is %+v", key, answer)
			continue
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", strings.ReplaceAll(key, "\x1b", "‹ESC›"), answer.Keys[0].Reason)
	}
	if !t.Failed() {
		docstest.BadInput(t, "aggregator/http", "end of look-ups", table.String())
	}
}

// knowsNothing is a source that finds no key, in no time.
type knowsNothing struct{ dashboard.Source }

func (knowsNothing) Watermark(context.Context) (dashboard.Watermark, error) {
	return dashboard.Watermark{}, nil
}

func (knowsNothing) LookUp(context.Context, []string) ([]api.Lookup, error) {
	return nil, dashboard.ErrNotFound
}

// TestBudgetOfKeys: an address may look up so many keys in a minute, is told what is left,
// and takes nothing from another.
func TestBudgetOfKeys(t *testing.T) {
	server := serve(t, knowsNothing{})
	ask := func(from string, keys int) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.LookupPath, bytes.NewReader(bytes.Repeat([]byte("\n"), keys)))
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = from
		r.Header.Set("Content-Type", api.TextType)
		return served(server, r)
	}
	for i := range 10 {
		response := ask("192.0.2.1:1", api.MaxLookupKeys)
		limit := response.Header.Get("RateLimit")
		if response.StatusCode != http.StatusNotFound || !strings.HasPrefix(limit, `"keys";r=`) {
			t.Fatalf("request %d: status %d, RateLimit %s", i, response.StatusCode, limit)
		}
	}
	refused := ask("192.0.2.1:2", api.MaxLookupKeys)
	body := text(t, refused)
	checkProblem(t, refused, body)
	if after := refused.Header.Get("Retry-After"); refused.StatusCode != http.StatusTooManyRequests || after == "" || after == "0" ||
		!strings.Contains(refused.Header.Get("RateLimit"), ";t="+after) || refused.Header.Get("RateLimit-Policy") != `"keys";q=100000;w=60` {
		t.Errorf("status %d, %v: %s", refused.StatusCode, refused.Header, body)
	}
	if other := ask("192.0.2.2:1", 1); other.StatusCode != http.StatusNotFound {
		t.Errorf("another address: status %d", other.StatusCode)
	}
}
