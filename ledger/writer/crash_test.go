package writer_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// crashDir tells the test binary that it is the child of [TestCrash].
const crashDir = "REPRONET_TEST_CRASH_DIR"

// TestCrashChild appends until it is killed, and prints what is acknowledged.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only runs as the child of TestCrash")
	}
	log, err := writer.Open(t.Context(), writer.Config{
		Dir: filepath.Join(dir, "log"), Key: newKey(t, dir), CheckpointInterval: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards standard output
	var group sync.WaitGroup
	for w := range 32 {
		group.Go(func() {
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d-%d-%d-%s", os.Getpid(), w, i, strings.Repeat("z", i%50*40))
				index, err := log.Append(context.Background(), ledger.Attestation, []byte(text))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Printf("acknowledged %d %s\n", index, text)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func TestCrash(t *testing.T) {
	dir := t.TempDir()
	newKey(t, dir)
	acknowledged := map[uint64]string{}
	for round := range 6 {
		before := len(acknowledged)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$")
		child.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var index uint64
			var text string
			if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %d %s", &index, &text); n != 2 {
				continue // the line that the kill cut off, or a failure's report
			}
			if other, taken := acknowledged[index]; taken {
				t.Errorf("index %d is acknowledged for %.20q and %.20q", index, other, text)
			}
			acknowledged[index] = text
			if len(acknowledged) == before+150+60*round {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if exit := new(exec.ExitError); !errors.As(child.Wait(), &exit) || exit.Exited() {
			t.Fatalf("round %d: the child was not killed: %v", round, child.ProcessState)
		}

		log := open(t, dir)
		if _, err := log.Append(t.Context(), ledger.Attestation, fmt.Appendf(nil, "after round %d", round)); err != nil {
			t.Fatal(err)
		}
		closeLog(t, log)
		records := checkLog(t, dir)
		for index, text := range acknowledged {
			if index >= uint64(len(records)) || body(t, records[index]) != text {
				t.Fatalf("round %d: entry %d was acknowledged and is not there as it was", round, index)
			}
		}
		t.Logf("round %d: %d acknowledged, %d in the log", round, len(acknowledged), len(records))
	}
}
