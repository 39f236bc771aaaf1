package command

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"repronet.dev/internal/needtest"
	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
)

// BenchmarkAttest hashes a directory as attest does, beside what it has to be as
// fast as.
func BenchmarkAttest(b *testing.B) {
	home := newHome(b)
	dir := filepath.Join(b.TempDir(), "tree")
	var size int64
	random := rand.NewChaCha8([32]byte{1})
	for i := range 2000 { // as an output is: many small files, some large
		path := filepath.Join(dir, strconv.Itoa(i%50), strconv.Itoa(i))
		data := make([]byte, 2000+i%7000)
		if i%100 == 0 {
			data = make([]byte, 10<<20)
		}
		random.Read(data)
		size += int64(len(data))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	run := func(b *testing.B, command ...string) {
		b.Helper()
		b.SetBytes(size)
		for b.Loop() {
			c := exec.CommandContext(b.Context(), command[0], command[1:]...)
			if out, err := c.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	}
	b.Run("repronet-reporter", func(b *testing.B) {
		run(b, binary(b), "attest", "--dir", string(home), "--build", "tree", "--output", "out="+dir)
	})
	b.Run("nix-store-and-sha256sum", func(b *testing.B) {
		needtest.Program(b, "nix-store", "nix-bin")
		run(b, "sh", "-c", `nix-store --dump "$1" | sha256sum`, "sh", dir)
	})
}

// BenchmarkIdle reports the memory of a run that waits, after it has delivered,
// and the size of the program.
func BenchmarkIdle(b *testing.B) {
	a := submittest.New(b)
	home := reporter.Home(filepath.Join(b.TempDir(), "home"))
	p, err := home.Prepare(b.Context(), reporter.Setup{
		Aggregator: a.URL, ReportAll: true, Operator: "alice", Consent: func() error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	a.Enrol(p.PublicKey)
	file := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		b.Fatal(err)
	}
	outputs := []string{"attest", "--dir", string(home), "--build", "b"}
	for i := range 2000 {
		outputs = append(outputs, "--output", fmt.Sprintf("o%d=%s", i, file))
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for b.Loop() {
		if out, err := exec.CommandContext(ctx, binary(b), outputs...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		run := exec.CommandContext(ctx, binary(b), "run", "--interval", "1s", "--dir", string(home))
		if err := run.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		rss := residentMemory(b, run.Process.Pid)
		if err := run.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = run.Wait()
		b.ReportMetric(rss, "RSS-MB")
		if left, err := home.Spool().Left(); left != 0 || err != nil {
			b.Fatalf("%d left, %v", left, err)
		}
	}
	info, err := os.Stat(binary(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "binary-MB")
}

func residentMemory(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1000
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
