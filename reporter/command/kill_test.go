package command

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"repronet.dev/reporter"
	"repronet.dev/reporter/submittest"
	"repronet.dev/signing/sigstore"
)

// Killed at any moment, by an aggregator that fails at any moment, the reporter
// loses nothing and says nothing twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	a := submittest.New(t)
	home := reporter.Home(filepath.Join(t.TempDir(), "home"))
	p, err := home.Prepare(t.Context(), reporter.Setup{
		Aggregator: a.URL, ReportAll: true, Operator: "alice", Consent: func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Enrol(p.PublicKey)
	a.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		switch rand.IntN(12) {
		case 0:
			submittest.Refuse(w, http.StatusServiceUnavailable, "unavailable", "not now")
			return true
		case 1:
			submittest.Refuse(w, http.StatusTooManyRequests, "slow-down", "slower")
			return true
		case 2:
			return submittest.Tear(w, r)
		default:
			return false
		}
	})

	const records, kills = 200, 20
	ctx, cancel := context.WithCancel(t.Context())
	var producer sync.WaitGroup
	spooled := make(chan int, records)
	producer.Go(func() {
		defer close(spooled)
		for n := range records {
			if ctx.Err() != nil {
				return
			}
			file := filepath.Join(t.TempDir(), "out")
			if err := os.WriteFile(file, fmt.Append(nil, n), 0o600); err != nil {
				t.Error(err)
				return
			}
			attest := exec.CommandContext(ctx, binary(t), "attest", "--dir", string(home), "--build", fmt.Sprintf("b-%d", n), "--output", "out="+file)
			if out, err := attest.CombinedOutput(); err != nil {
				t.Errorf("attest: %v: %s", err, out)
				return
			}
			spooled <- n
		}
	})
	defer producer.Wait()
	defer cancel()

	for range kills {
		run := exec.CommandContext(ctx, binary(t), "run", "--interval", "100ms", "--dir", string(home))
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(30+rand.IntN(400)) * time.Millisecond)
		if err := run.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = run.Wait()
	}
	count := 0
	for range spooled {
		count++
	}
	a.Fail(nil)
	var out bytes.Buffer
	last := exec.CommandContext(t.Context(), binary(t), "run", "--once", "--dir", string(home))
	last.Stdout, last.Stderr = &out, &out
	if err := last.Run(); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}

	seen := make(map[string]int)
	statements := a.Statements()
	for _, v := range statements {
		for _, s := range v.Statement().Subjects {
			seen[s.Name]++
		}
	}
	if len(seen) != count || count != records {
		t.Errorf("%d outputs in the log, %d were spooled, want %d", len(seen), count, records)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is in the log %d times", name, n)
		}
	}
	checkChain(t, statements)
	status, err := home.Spool().Status()
	if err != nil {
		t.Fatal(err)
	}
	if status.Acknowledged.Outputs != records || status.Acknowledged.Statements != uint64(len(statements)) {
		t.Errorf("acknowledged %+v, want %d statements and %d outputs", status.Acknowledged, len(statements), records)
	}
	if len(status.Corrupt)+len(status.Refused) != 0 {
		t.Errorf("status %+v", status)
	}
}

// checkChain reports statements that are not one unbroken chain.
func checkChain(t *testing.T, statements []*sigstore.Verified) {
	t.Helper()
	bySequence := make(map[uint64]*sigstore.Verified)
	for _, v := range statements {
		chain := v.Statement().Chain
		if bySequence[chain.Sequence] != nil {
			t.Errorf("two statements have sequence %d", chain.Sequence)
		}
		bySequence[chain.Sequence] = v
	}
	for n := uint64(1); n < uint64(len(statements)); n++ {
		if bySequence[n] == nil || bySequence[n].Statement().Chain.Previous != bySequence[n-1].PayloadDigest() {
			t.Errorf("statement %d does not follow %d", n, n-1)
		}
	}
}
