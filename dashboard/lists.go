package dashboard

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// listRows is how many rows a list beside a page has at most.
const listRows = 1000

// divergencesList finds what a list beside the page of divergences has.
func (d *Dashboard) divergencesList(c *gin.Context, path string) (*DivergencePage, *Document, error) {
	if err := refuseOthers(c, "set", "shape", "cause", "builder", "maintainer", "ecosystem", "project", "package", "limit", "cursor"); err != nil {
		return nil, nil, err
	}
	query, wrong := divergenceFilter(c)
	if wrong == nil {
		query.Limit, wrong = limitOf(c, listRows)
	}
	if wrong != nil {
		return nil, nil, wrong
	}
	page, err := d.source.Divergences(c.Request.Context(), query)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, Missing(err, "No such package set, or the cursor is not one of this list; leave it out to begin at the newest.")
	}
	if err != nil {
		return nil, nil, err
	}
	document := &Document{}
	if page.Next != "" {
		query.Cursor = page.Next
		document.Next = query.URL(path)
	}
	return page, document, nil
}

// DivergencesJSON is the list of divergences as the API writes it.
func (d *Dashboard) DivergencesJSON(c *gin.Context) (*Document, error) {
	page, document, err := d.divergencesList(c, DivergencesPath+".json")
	if err != nil {
		return nil, err
	}
	if page.Divergences == nil {
		page.Divergences = []Divergence{}
	}
	list, err := written(page)
	if err == nil {
		list.Next = document.Next
	}
	return list, err
}

// DivergencesCSV is the list of divergences for spreadsheets (RFC 4180).
func (d *Dashboard) DivergencesCSV(c *gin.Context) (*Document, error) {
	page, document, err := d.divergencesList(c, DivergencesPath+".csv")
	if err != nil {
		return nil, err
	}
	rows := [][]string{{
		"output", "ecosystem", "build", "name", "shape", "cause", "since", "entry", "before", "regressed", "operators", "digests", "groups",
	}}
	for i := range page.Divergences {
		rows = append(rows, divergenceCells(&page.Divergences[i]))
	}
	list, err := writtenCSV("divergences.csv", rows)
	if err == nil {
		list.Next = document.Next
	}
	return list, err
}

func divergenceCells(d *Divergence) []string {
	groups := make([]string, len(d.Factions))
	for i, faction := range d.Factions {
		groups[i] = faction.Digest + " (" + strings.Join(faction.Operators, ", ") + ")"
	}
	return []string{
		d.Key, d.Ecosystem, d.Build, d.Output, string(d.Shape), string(d.Cause), stamp(d.Since), strconv.FormatUint(d.Index, 10), string(d.Previous),
		d.Regressed, strconv.Itoa(d.Operators), strconv.Itoa(d.Digests), strings.Join(groups, "; "),
	}
}

// limitOf reads how many rows are wanted: most where that is not said.
func limitOf(c *gin.Context, most int) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return most, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > most {
		return 0, invalid("Parameter limit: it is a number from 1 to %d.", most)
	}
	return limit, nil
}

// written is a document of the API.
func written(document any) (*Document, error) {
	body, err := json.Marshal(document, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("writing a document: %w", err)
	}
	return &Document{Type: "application/json", Body: append(body, '\n')}, nil
}

// writtenCSV is a list for spreadsheets (RFC 4180), under a name to keep it.
func writtenCSV(file string, rows [][]string) (*Document, error) {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cellOf(cell)
		}
	}
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("writing a list: %w", err)
	}
	return &Document{Type: "text/csv; charset=utf-8", Body: buf.Bytes(), File: file}, nil
}

// formula is what a cell begins with that a spreadsheet computes instead of showing it.
const formula = "=+-@\t\r\n＝＋－＠"

// cellOf is a text as a cell: one that a spreadsheet would compute has an apostrophe in
// front, which makes it a text there. Who wants the bytes themselves takes the JSON.
func cellOf(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.IndexAny(text, formula) == 0 {
		return "'" + text
	}
	return text
}

// feedOf is a page's query without the filters that its feed has not: what no longer
// diverges has neither a shape nor a cause nor factions.
func feedOf(query DivergenceQuery) ChangeQuery {
	return ChangeQuery{Set: query.Set, Maintainer: query.Maintainer, Ecosystem: query.Ecosystem, Project: query.Project, Package: query.Package}
}

// listsOf are the documents beside the page of divergences, with the page's filters.
func listsOf(query DivergenceQuery) []alternate {
	query.Limit, query.Cursor = 0, ""
	return []alternate{
		{atomType, "Divergences", feedOf(query).URL(DivergencesPath + FeedSuffix)},
		{"text/csv", "This list as CSV", query.URL(DivergencesPath + ".csv")},
		{"application/json", "This list as JSON", query.URL(DivergencesPath + ".json")},
	}
}
