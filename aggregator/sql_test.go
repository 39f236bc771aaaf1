package aggregator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
)

// askSQL asks in SQL and returns the status and the answer.
func (w *world) askSQL(query string) (int, string) {
	w.t.Helper()
	response := must(http.Get(w.url + api.SQLPath + "?" + url.Values{"q": {query}, "format": {"csv"}}.Encode()))
	defer response.Body.Close()
	return response.StatusCode, string(must(io.ReadAll(response.Body)))
}

// TestSQL: a question has the answer that the API has, from the newest snapshot; a question
// for the server's own files has none.
func TestSQL(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	if status, answer := w.askSQL("SELECT 1"); status != http.StatusServiceUnavailable || !strings.Contains(answer, "No snapshot was made yet") {
		t.Errorf("without a snapshot: %d, %s", status, answer)
	}
	made := must(admin.MakeSnapshot.Do(t.Context(), w.Administration(), admin.None{}))
	var summary api.Summary
	if err := json.Unmarshal([]byte(w.get(api.SummaryPath)), &summary); err != nil {
		t.Fatal(err)
	}
	status, answer := w.askSQL("SELECT countIf(verdict = 'reproduced') r, countIf(verdict = 'diverged') d FROM verdicts")
	if want := fmt.Sprintf("\"r\",\"d\"\n%d,%d\n", summary.Reproduced, summary.Diverged); status != http.StatusOK || answer != want || summary.Diverged == 0 {
		t.Errorf("%d, %q, want %q", status, answer, want)
	}
	for _, view := range []string{"observations", "changes", "builders", "members"} {
		if status, answer := w.askSQL("SELECT count() > 0 AS some FROM " + view); status != http.StatusOK || answer != "\"some\"\ntrue\n" && answer != "\"some\"\n1\n" {
			t.Errorf("%s: %d, %s", view, status, answer)
		}
	}
	key := filepath.Join(w.config.Data, "log.key")
	if status, answer := w.askSQL("SELECT * FROM file('" + key + "', LineAsString)"); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "file is none of the functions") {
		t.Errorf("of the key: %d, %s", status, answer)
	}
	if status, answer := w.askSQL("SELECT nothing FROM outputs"); status != http.StatusUnprocessableEntity || strings.Contains(answer, w.config.Data) {
		t.Errorf("of no column: %d, %s", status, answer)
	}
	page := w.get("/data?" + url.Values{"q": {"SELECT ecosystem, count() AS n FROM outputs GROUP BY ecosystem"}, "chart": {"bar"}}.Encode())
	if !strings.Contains(page, `data-kind="bar"`) || !strings.Contains(page, api.SnapshotPath(made.Size)) {
		t.Error("the page has no chart, or no snapshot")
	}
}
