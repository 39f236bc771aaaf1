package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// TestClockFarOff starts on ledgers whose last entry is ten years from now, on either
// side: a clock that is wrong must not get into the ledger, from which no time is
// taken back.
func TestClockFarOff(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	const decade = 10 * 365 * 24 * time.Hour
	for name, off := range map[string]time.Duration{"ahead of": -decade, "behind": decade} {
		t.Run("the clock is "+name+" the ledger", func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			key, err := writer.LoadOrCreateKey(filepath.Join(data, "log.key"), "localhost/repronet")
			if err != nil {
				t.Fatal(err)
			}
			log, err := writer.Open(t.Context(), writer.Config{
				Dir: filepath.Join(data, "ledger"), Key: key, Now: func() time.Time { return time.Now().Add(off) },
			})
			if err == nil {
				_, err = log.Append(t.Context(), "from-another-time", []byte("anything"))
			}
			if err == nil {
				err = log.Close(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			start := exec.CommandContext(t.Context(), programs().Aggregator(), "serve", "--data", data, "--listen", "127.0.0.1:0")
			text, err := start.CombinedOutput()
			if err == nil || !strings.Contains(string(text), "days "+name+" the ledger's last entry") || !strings.Contains(string(text), "--clock-is-right") {
				t.Errorf("a start: %v, and says:\n%s", err, text)
			}
			s := &server{log: messages(t, "the aggregator"), args: []string{"--listen", "127.0.0.1:0", "--checkpoint-interval", "250ms", "--clock-is-right"}}
			if err := s.start(t.Context(), data); err != nil {
				t.Fatal(err)
			}
			entries, _ := readLedger(t, s.URL, 1)
			if len(entries) < 1 || entries[0].Kind != ledger.Kind("from-another-time") {
				t.Errorf("the ledger has %d entries", len(entries))
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}
