package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	web "repronet.dev/aggregator/http"
	"repronet.dev/api"
	"repronet.dev/dashboard/questions"
	"repronet.dev/snapshot"
)

// A console answers the queries of these tests by their names, and questions with lines.
type console struct{}

func (console) Limits() string { return "seconds=20" }

func (console) Next() (*api.SQLAnswer, error) {
	return &api.SQLAnswer{Snapshot: "20", Indexed: 20}, nil
}

func (c console) Ask(_ context.Context, asked api.SQLQuestion, to io.Writer) (*api.SQLAnswer, error) {
	column := func(name, of string) api.SQLColumn { return api.SQLColumn{Name: name, Type: of} }
	meta := []api.SQLColumn{column("month", "Date"), column("system", "LowCardinality(String)"), column("rate", "Nullable(Float64)")}
	rows := `[["2026-01-01","x86_64-linux",0.25],["2026-02-01","x86_64-linux",0.5],["2026-02-01","aarch64-linux",0.75],["2026-03-01","x86_64-linux",null]]`
	switch asked.SQL {
	case "refused":
		return nil, api.NewProblem(api.ProblemQueryRefused, "Line 1, column 1: a query begins with SELECT or WITH.")
	case "busy":
		return nil, api.NewProblem(api.ProblemTryLater, "No snapshot was made yet.")
	case "broken":
		return nil, errors.New("the worker ended")
	case "empty":
		rows = "[]"
	case "bars":
		meta = []api.SQLColumn{column("operator", "String"), column("alone", "UInt64")}
		rows = `[["alder",181],["birch",61],["cedar",0]]`
	case "heat":
		meta = []api.SQLColumn{column("builder", "String"), column("other", "String"), column("agreement", "Float64")}
		rows = `[["a","b",1],["b","a",0.5],["a","c",0]]`
	case "bins":
		meta = []api.SQLColumn{column("from_hours", "Float64"), column("outputs", "UInt64")}
		rows = `[[0,3],[2,10],[4,1]]`
	case "long":
		meta = []api.SQLColumn{column("n", "UInt64")}
		rows = "[" + strings.TrimSuffix(strings.Repeat("[1],", asked.Limit), ",") + "]"
	case attack:
		text, err := json.Marshal(attack)
		if err != nil {
			return nil, err
		}
		meta = []api.SQLColumn{column(attack, attack), column("x"+attack, "UInt64")}
		rows = fmt.Sprintf("[[%s,1],[[%[1]s],2]]", text)
	}
	result := map[string]any{"meta": meta, "data": jsontext.Value(rows), "rows": 4}
	answer, _ := c.Next()
	return answer, json.MarshalWrite(to, result)
}

func asking(values ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		query.Set(values[i], values[i+1])
	}
	return "/data?" + query.Encode()
}

// TestDataPage: what there is to ask is on the page, and a query to begin with.
func TestDataPage(t *testing.T) {
	body := text(t, get(t, serve(t, sample()), "/data"))
	for _, v := range snapshot.Views() {
		if !strings.Contains(body, "<code>"+v.Name+"</code>") || !strings.Contains(body, html.EscapeString(v.Columns[len(v.Columns)-1].Description)) {
			t.Errorf("the page does not describe %s", v.Name)
		}
	}
	for _, part := range []string{"snapshot <b>20</b>", "FROM verdicts", "seconds=20"} {
		if !strings.Contains(body, part) {
			t.Errorf("the page has no %q", part)
		}
	}
}

// TestDataCharts: each kind of chart is drawn from a result, which is there as a table and
// in all formats.
func TestDataCharts(t *testing.T) {
	engine := serve(t, sample())
	for query, parts := range map[string][]string{
		asking("q", "lines", "chart", "line", "title", "My <question>"): {
			"<h1 id=\"answer\">My &lt;question&gt;</h1>", `data-kind="line"`, `class="line line-1"`, "aarch64-linux", `<span class="none">NULL</span>`,
			`href="/api/v1/sql?format=parquet&amp;q=lines"`, `<option selected>line</option>`, ">lines</textarea>",
		},
		asking("q", "bars", "chart", "bar"):       {`data-kind="bar"`, `aria-label="alder: 181"`, `width="1000.0"`, `width="337.0"`},
		asking("q", "heat", "chart", "heatmap"):   {`data-kind="heatmap"`, `<td class="heat-4">1</td>`, `<td class="heat-2">0.5</td>`, `<td class="heat-0">0</td>`, `<td class="none">–</td>`},
		asking("q", "bins", "chart", "histogram"): {`data-kind="histogram"`, `<rect class="column"`},
		asking("q", "bars"):                       {`<td>alder</td>`, `<td class="num">181</td>`},
		asking("q", "bars", "chart", "heatmap"):   {"A heatmap needs a column for its rows"},
		asking("q", "empty", "chart", "line"):     {"The result has no rows."},
		asking("q", "long"):                       {"Only the first rows are shown."},
	} {
		response := get(t, engine, query)
		body := text(t, response)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", query, response.Status)
		}
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s: the page has no %q", query, part)
			}
		}
	}
}

// TestDataRefuses: what is wrong with a query is said beside it.
func TestDataRefuses(t *testing.T) {
	engine := serve(t, sample())
	for query, want := range map[string]struct {
		status int
		says   string
	}{
		asking("q", "refused"):               {http.StatusUnprocessableEntity, "column 1: a query begins with"},
		asking("q", "busy"):                  {http.StatusServiceUnavailable, "No snapshot was made yet."},
		asking("q", "broken"):                {http.StatusInternalServerError, "Something broke"},
		"/data/questions/none":               {http.StatusNotFound, "There is no question"},
		asking("q", "lines", "chart", "pie"): {http.StatusOK, "x86_64-linux"},
	} {
		response := get(t, engine, query)
		if body := text(t, response); response.StatusCode != want.status || !strings.Contains(body, want.says) {
			t.Errorf("%s: %s, without %q", query, response.Status, want.says)
		}
		if want.status == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: it does not say when to ask again", query)
		}
	}
}

// unready is a console before there is a snapshot.
type unready struct{ console }

func (unready) Next() (*api.SQLAnswer, error) {
	return nil, api.NewProblem(api.ProblemTryLater, "No snapshot was made yet.")
}

// TestDataBeforeSnapshots: links lead to pages that say that there is nothing to ask yet.
func TestDataBeforeSnapshots(t *testing.T) {
	server, err := web.New(web.Config{}, web.Parts{Source: sample(), SQL: unready{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/data", asking("q", "lines"), "/data/questions/half-life"} {
		response := get(t, server, path)
		if body := text(t, response); response.StatusCode != http.StatusOK || path != "/data" && !strings.Contains(body, "No snapshot was made yet.") {
			t.Errorf("%s: %s: %s", path, response.Status, body)
		}
	}
}

// TestDataEscapes: a query, what a link calls it, and what comes out of it are text.
func TestDataEscapes(t *testing.T) {
	engine := serve(t, sample())
	for _, chart := range []string{"", "line", "bar", "heatmap", "histogram"} {
		body := text(t, get(t, engine, asking("q", attack, "title", attack, "chart", chart)))
		for _, found := range []string{"<script>alert", "<img src=x", "</textarea>;", "onerror=alert(2)>\"'"} {
			if strings.Contains(body, found) {
				t.Errorf("drawn as %q, the page has %q", chart, found)
			}
		}
	}
}

// TestQuestionPages: each question says what it is a share of, and can be changed.
func TestQuestionPages(t *testing.T) {
	engine := serve(t, sample())
	all, err := questions.All()
	if err != nil {
		t.Fatal(err)
	}
	list := text(t, get(t, engine, "/data/questions"))
	for _, q := range all {
		path := "/data/questions/" + q.Name
		if !strings.Contains(list, `href="`+path+`"`) {
			t.Errorf("%s is not listed", q.Name)
		}
		body := html.UnescapeString(text(t, get(t, engine, path)))
		for _, part := range []string{q.Title, q.Answers, q.Denominator, q.SQL, "/data?chart=" + q.Chart} {
			if !strings.Contains(body, part) {
				t.Errorf("%s has no %q", path, part)
			}
		}
	}
}
