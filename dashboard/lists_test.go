package dashboard_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/dashboard/dashboardtest"
)

// readCSV follows a list over its parts, and returns its rows with those of the header.
func readCSV(t *testing.T, engine http.Handler, path string) (rows [][]string, parts int) {
	t.Helper()
	for path != "" {
		response := get(t, engine, path)
		body := text(t, response)
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "text/csv; charset=utf-8" {
			t.Fatalf("%s: %s, %s: %s", path, response.Status, got, body)
		}
		part, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if parts++; parts > 1 {
			part = part[1:]
		}
		rows = append(rows, part...)
		link, _ := strings.CutSuffix(response.Header.Get("Link"), `>; rel="next"`)
		path = strings.TrimPrefix(link, "<")
	}
	return rows, parts
}

// TestLists: the lists beside the page have what the page's filters select, all of it.
func TestLists(t *testing.T) {
	engine := serve(t, sample())
	for query, want := range map[string]int{"": 8, "?shape=scatter": 2, "?maintainer=grace&cause=own": -1, "?set=nixos-minimal&shape=outlier": -1, "?builder=" + string(dashboardtest.ID("elm")): -1} {
		var listed struct {
			Total       int
			Divergences []struct{ Key, Build, Shape string }
		}
		if err := json.Unmarshal([]byte(text(t, get(t, engine, "/divergences.json"+query))), &listed); err != nil {
			t.Fatal(err)
		}
		var fromAPI any
		if err := json.Unmarshal([]byte(text(t, get(t, engine, "/api/v1/divergences"+query))), &fromAPI); err != nil {
			t.Fatal(err)
		}
		if text(t, get(t, engine, "/divergences.json"+query)) != text(t, get(t, engine, "/api/v1/divergences"+query)) {
			t.Errorf("%s: the JSON list is not what the API says", query)
		}
		rows, _ := readCSV(t, engine, "/divergences.csv"+query)
		if len(rows) != listed.Total+1 || len(listed.Divergences) != listed.Total || want >= 0 && listed.Total < want {
			t.Errorf("%s: %d rows as CSV, %d as JSON, of %d", query, len(rows)-1, len(listed.Divergences), listed.Total)
		}
		for i, d := range listed.Divergences {
			if row := rows[i+1]; row[0] != d.Key || row[2] != d.Build || row[4] != d.Shape {
				t.Errorf("%s: row %d is %q, and %v as JSON", query, i, row, d)
			}
		}
	}
	all, _ := readCSV(t, engine, "/divergences.csv")
	paged, parts := readCSV(t, engine, "/divergences.csv?limit=3")
	if parts < 3 || !slices.EqualFunc(all, paged, slices.Equal) {
		t.Errorf("%d rows at once, %d in %d parts", len(all), len(paged), parts)
	}
	if page := text(t, get(t, engine, "/divergences?shape=split&maintainer=ada")); !strings.Contains(page, `href="/divergences.csv?maintainer=ada&amp;shape=split"`) {
		t.Errorf("the page does not link to its CSV: %s", page)
	}
}

// TestFormulas: no cell of strangers' making is computed by a spreadsheet.
func TestFormulas(t *testing.T) {
	s := hostileScenario(time.Now())
	for _, name := range []string{"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "x\",=1,\"\n=2", "\xff"} {
		for _, b := range []string{"mallory", "trudy"} {
			s.Entries = append(s.Entries, dashboardtest.Entry{At: time.Now(), Builder: b, Statement: dashboardtest.Rebuild(nil, name, "", name, name+b)})
		}
	}
	rows, _ := readCSV(t, serve(t, dashboardtest.NewFake(s)), "/divergences.csv")
	guarded := 0
	for _, row := range rows {
		if len(row) != len(rows[0]) {
			t.Errorf("a row of %d cells: %q", len(row), row)
		}
		for _, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 {
				t.Errorf("a cell is %q", cell)
			}
			if strings.HasPrefix(cell, "'") {
				guarded++
			}
		}
	}
	if guarded < 16 {
		t.Errorf("%d cells have a guard", guarded)
	}
}
