package aggregator

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

// A scrape says how far the index and the roll-up are behind the ledger.
func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	if err := w.index.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("from-the-future", []byte("anything"))
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
	taken := regexp.MustCompile(`(?m)^repronet_index_bytes{table="states"} (\S+)$`).FindSubmatch(text)
	if taken == nil {
		t.Fatalf("/metrics does not say what the states take:\n%s", text)
	}
	if bytes, err := strconv.ParseFloat(string(taken[1]), 64); err != nil || bytes < 300*32 { // 300 digests
		t.Errorf("the states of 300 outputs take %s bytes", taken[1])
	}
}
