package aggregator

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"repronet.dev/ledger"
)

// A scrape says how far the index and the roll-up are behind the ledger.
func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	if err := w.index.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append(ledger.Rules, []byte(`{"version":1}`)) // which judges already
	w.settle()

	response, err := http.Get(w.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))
	size := int(w.log.Size())
	for name, want := range map[string]int{"repronet_ledger_size": size, "repronet_indexed": size, "repronet_rolled_up": size - 1} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^%s %d$`, name, want)).Match(text) {
			t.Errorf("/metrics does not say that %s is %d:\n%s", name, want, text)
		}
	}
	if !regexp.MustCompile(`(?m)^repronet_build_info{commit="[^"]*",go="go1[^"]*",version="[^"]+"} 1$`).Match(text) {
		t.Errorf("/metrics does not say what the program was built from:\n%s", text)
	}
	taken := regexp.MustCompile(`(?m)^repronet_index_bytes{table="verdicts"} (\S+)$`).FindSubmatch(text)
	if taken == nil {
		t.Fatalf("/metrics does not say what the verdicts take:\n%s", text)
	}
	if bytes, err := strconv.ParseFloat(string(taken[1]), 64); err != nil || bytes < 300*32 { // 300 digests
		t.Errorf("the verdicts on 300 outputs take %s bytes", taken[1])
	}
}
