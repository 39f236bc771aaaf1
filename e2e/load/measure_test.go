package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Goals.
const (
	receiptGoal  = 2 * time.Second
	residentGoal = 1500 << 20 // bytes, under all attacks together
)

// figures are what an attack cost.
type figures struct {
	name           string
	receipt, page  time.Duration // 99th percentiles
	receipts       int
	missing        int
	resident, grew int64 // bytes
	processor      time.Duration
}

// missed says which goals were missed.
func (f *figures) missed() (what []string) {
	if f.receipt > receiptGoal {
		what = append(what, "receipt")
	}
	if f.missing > 0 {
		what = append(what, "answers")
	}
	if f.resident > residentGoal {
		what = append(what, "memory")
	}
	return what
}

func table(all []figures) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "attack\treceipt p99\tpage p99\tmost resident\tledger grew\tprocessor\tmissed\t\n")
	for i := range all {
		f := &all[i]
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f s\t%d MiB\t%.1f MB\t%.1f s\t%s\t\n", f.name, f.receipt.Seconds(), f.page.Seconds(),
			f.resident>>20, float64(f.grew)/1e6, f.processor.Seconds(), strings.Join(f.missed(), ", "))
	}
	fmt.Fprintf(w, "goal\t%.2f s\t\t%d MiB\t\t\t\t\n", receiptGoal.Seconds(), residentGoal>>20)
	_ = w.Flush() // into memory
	return text.String()
}

// A meter measures a process from when it was made.
type meter struct {
	pid    int
	ledger string
	size   int64
	used   time.Duration
}

func (s *site) meter() (*meter, error) {
	m := &meter{pid: s.PID(), ledger: filepath.Join(s.Data, "ledger")}
	m.size, m.used = treeSize(m.ledger), processor(m.pid)
	// The most that was resident is counted anew.
	return m, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.pid), []byte("5"), 0)
}

func (m *meter) read(f *figures) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return err
			}
			f.resident = kib << 10
		}
	}
	f.grew, f.processor = treeSize(m.ledger)-m.size, processor(m.pid)-m.used
	return nil
}

// processor is the processor time that a process took so far.
func processor(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after the name, from the third field on
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var ticks int64 // of 10 ms
	for _, field := range fields[11:13] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// treeSize is what a ledger's directory holds, in bytes. Of an unfinished tile only the
// widest state counts, and none of one that is finished: the others are removed later.
func treeSize(dir string) (size int64) {
	widest := map[string]int64{} // by the directory of a tile's states
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // files come and go while the server works
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return nil //nolint:nilerr // likewise
		}
		if states := filepath.Dir(path); strings.HasSuffix(states, ".p") {
			widest[states] = max(widest[states], info.Size())
			return nil
		}
		size += info.Size()
		return nil
	})
	for states, bytes := range widest {
		if _, err := os.Stat(strings.TrimSuffix(states, ".p")); err != nil {
			size += bytes
		}
	}
	return size
}
