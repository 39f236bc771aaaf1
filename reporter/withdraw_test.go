package reporter_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/reporter"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submittest"
)

// TestWithdrawByFormerKey: a key that was replaced takes back what it said, in the ledgers
// that are chosen, from a directory with a name of any characters. Where that key is gone
// nothing is said to be withdrawn.
func TestWithdrawByFormerKey(t *testing.T) {
	a := submittest.New(t)
	home := reporter.Home(filepath.Join(t.TempDir(), "of [alice"))
	p, err := home.Prepare(t.Context(), reporter.Setup{Aggregator: a.URL, ReportAll: true, Audience: reporter.AudienceLedger, Consent: consent})
	if err != nil {
		t.Fatal(err)
	}
	a.Enrol(p.PublicKey)
	put(t, home, 1)
	r := open(t, home)
	pass(t, r, reporter.Report{Acknowledged: 1}, "")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := rotate(t, home, false); err != nil {
		t.Fatal(err)
	}
	d := desk(t, home)
	withdrawn, err := d.Withdraw(t.Context(), 0, nil, "the disk was broken")
	if err != nil || len(withdrawn) != 1 || withdrawn[0].Key != output(1) {
		t.Fatalf("%+v, %v", withdrawn, err)
	}
	statements := a.Statements()
	last := statements[len(statements)-1]
	if last == nil || last.Builder() != p.PublicKey.Builder() || last.Statement().Type != attestation.Withdraw {
		t.Fatalf("last in the log: %+v", last)
	}
	if diff := cmp.Diff([]string{"log.example/test"}, last.Statement().Audience); diff != "" {
		t.Errorf("audience (-want +got):\n%s", diff)
	}
	record := &spool.Record{Type: attestation.Withdraw, Ecosystem: "nix", DigestKind: attestation.NAR, Outputs: withdrawn, Reason: "x"}
	if err := d.WithdrawAs(t.Context(), "none", record); err == nil || !strings.Contains(err.Error(), "the former key none is not in") {
		t.Errorf("a key that is gone: %v", err)
	}
}
