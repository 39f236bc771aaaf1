package aggregator

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNewerRules: behind an entry that only a newer program can read the ledger goes on,
// the server is ready and says that its index stays, and it commits to no map that would
// lack what a newer one has.
func TestNewerRules(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.enrol("alice")
	w.attest(alice, 0, 10, 1)
	w.settle()
	if err := w.maps.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("from-the-future", []byte("anything"))
	later := w.attest(alice, 10, 20, 1)
	ready := func() (int, string) {
		response, err := http.Get(w.url + "/healthz/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, string(must(io.ReadAll(response.Body)))
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, text := ready()
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if strings.Contains(text, "undecided from ledger index") && strings.Contains(text, "a newer program is needed") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("readiness says %q", text)
		}
	}
	if _, err := w.log.Receipt(t.Context(), later); err != nil {
		t.Errorf("the ledger does not go on: %v", err)
	}
	size := w.log.Size()
	if err := w.maps.commit(t.Context()); err == nil || !strings.Contains(err.Error(), "a newer program is needed") || w.log.Size() != size {
		t.Errorf("committing to a map: %v, the ledger grew from %d to %d", err, size, w.log.Size())
	}
}
