package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReceiptsAreKept also breaks the last line off, as a crash would.
func TestReceiptsAreKept(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	path := filepath.Join(s.dir, ReceiptsFile)
	for n, receipt := range []string{`{"index":1}`, `{"index":2}`} {
		mustPut(t, s, nixRecord(n))
		mustSeal(t, w, signer)
		if err := w.Settle([]Outcome{{Item: outbox(t, w)[0], Index: uint64(n), Receipt: []byte(receipt)}}); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if err := os.Truncate(path, 8); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n{\"index\n{\"index\":2}\n"; !bytes.Equal(text, []byte(want)) {
		t.Errorf("%q, want %q", text, want)
	}
}
