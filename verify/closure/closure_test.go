package closure_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
	"repronet.dev/verify/policy"
	"repronet.dev/verify/verifytest"
)

func quiet(string, uint64, uint64) {}

// TestSections: which outputs are in a set is what the ledger says at its end.
func TestSections(t *testing.T) {
	l := verifytest.NewLedger(t)
	alice := l.Enrol("alice")
	d := verifytest.Digest(1)
	for _, key := range []string{demo, lib} {
		l.AttestOutput(alice, "nix", demo+".drv", key, attestation.NAR, d)
	}
	publish := func(revision string, keys ...string) {
		var members []pkgset.Member
		for _, key := range keys {
			members = append(members, pkgset.Member{Key: key})
		}
		l.PublishSet("base", revision, "nix", members)
	}
	p, err := policy.Parse([]byte("sections: [{name: base, set: base, quorum: 2}, {name: rest, quorum: 1}]"))
	if err != nil {
		t.Fatal(err)
	}
	list := &closure.List{Items: []closure.Item{item(demo, &d), item(lib, &d)}}
	pins := l.Pins(l.Serve())
	m, err := verify.OpenMirror(t.Context(), t.TempDir(), l.Key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	check := func(want ...string) {
		t.Helper()
		l.Publish()
		if err := pins.Update(t.Context(), m, quiet); err != nil {
			t.Fatal(err)
		}
		report, err := closure.Check(t.Context(), m, pins, p, list, time.Now(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range report.Results {
			if got := fmt.Sprintf("%s %s", r.Decision.Section, r.Decision.Action); got != want[i] {
				t.Errorf("%s: %s, want %s", r.Key, got, want[i])
			}
		}
	}
	publish("1", demo)
	check("base refuse", "rest accept")
	publish("2", lib)
	check("rest accept", "base refuse")
	publish("3", demo, lib)
	check("base refuse", "base refuse")

	// An attachment that is not what the entry names.
	l.Append(ledger.PackageSet, []byte(`{"name":"base","revision":"4","ecosystem":"nix","members":1,"sha256":"`+strings.Repeat("1", 64)+`"}`))
	l.Publish()
	if err := pins.Update(t.Context(), m, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := closure.Check(t.Context(), m, pins, p, list, time.Now(), quiet); err == nil {
		t.Error("judged without the set's members")
	}
}

// TestRegressed: an output of which an earlier version is reproduced has regressed, by the
// revisions of package sets.
func TestRegressed(t *testing.T) {
	l := verifytest.NewLedger(t)
	const before, never = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-0.9", "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-libdemo-1.9"
	alice, bob := l.Enrol("alice"), l.Enrol("bob")
	claim := func(key string, digests ...byte) {
		l.AttestOutput(alice, "nix", key+".drv", key, attestation.NAR, verifytest.Digest(digests[0]))
		l.AttestOutput(bob, "nix", key+".drv", key, attestation.NAR, verifytest.Digest(digests[1]))
	}
	claim(before, 1, 1)
	claim(never, 1, 2)
	claim(demo, 1, 2)
	claim(lib, 1, 2)
	l.PublishSet("base", "1", "nix", []pkgset.Member{{Key: before, Attribute: "demo"}, {Key: never, Attribute: "lib"}})
	l.PublishSet("base", "2", "nix", []pkgset.Member{{Key: demo, Attribute: "demo"}, {Key: lib, Attribute: "lib"}})
	l.Publish()
	pins := l.Pins(l.Serve())
	m, _, _ := verifytest.FillMirror(t, l, pins)
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for text, want := range map[string]string{
		"sections: [{quorum: 2}]":                    "",
		"sections: [{quorum: 2, regressed: refuse}]": before,
	} {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		report, err := closure.Check(t.Context(), m, pins, p, &closure.List{Items: []closure.Item{item(demo, nil), item(lib, nil)}}, time.Now(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r := report.Results[0].Decision.Regressed; r != nil {
			got = r.Output
		}
		if got != want || report.Results[1].Decision.Regressed != nil {
			t.Errorf("%s: regressed from %q, want %q; %+v", text, got, want, report.Results[1].Decision)
		}
	}
}

// BenchmarkClosure measures a closure of 3,359 outputs with five builders, in as
// few bundles as builders would send, and with one output a bundle: fetching over
// loopback, with all proofs checked, then indexing, then checking every
// signature and judging.
func BenchmarkClosure(b *testing.B) {
	const outputs, builders = 3359, 5
	for _, each := range []int{42, 1} { // outputs a bundle
		b.Run(fmt.Sprintf("outputs-a-bundle-%d", each), func(b *testing.B) {
			l := verifytest.NewLedger(b)
			list := &closure.List{}
			d := verifytest.Digest(1)
			for n := range outputs {
				list.Items = append(list.Items, item(fmt.Sprintf("%s-%d", demo, n), &d))
			}
			finished := time.Now()
			var group errgroup.Group
			group.SetLimit(64)
			bundles := 0
			for builder := range builders {
				signer := l.Enrol(fmt.Sprintf("operator%d", builder))
				for from := 0; from < outputs; from += each {
					s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
					for i, o := range list.Items[from:min(from+each, outputs)] {
						s.Subjects = append(s.Subjects, attestation.Subject{Name: o.Key, Digest: d})
						s.Builds = append(s.Builds, attestation.Build{Name: o.Key + ".drv", Outputs: []int{i}, Started: finished, Finished: finished, Occasion: attestation.OccasionBuild})
					}
					bundle := verifytest.Sign(b, signer, s)
					bundles++
					group.Go(func() error {
						l.Append(ledger.Attestation, bundle)
						return nil
					})
				}
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			l.Publish()
			p, err := policy.Parse([]byte("sections: [{quorum: 3}]"))
			if err != nil {
				b.Fatal(err)
			}
			pins := l.Pins(l.Serve())
			var fetch, index, check time.Duration
			b.ResetTimer()
			for range b.N {
				m, fetched, indexed := verifytest.FillMirror(b, l, pins)
				start := time.Now()
				report, err := closure.Check(b.Context(), m, pins, p, list, time.Now(), quiet)
				if err != nil {
					b.Fatal(err)
				}
				if _, refused := report.Refused(); refused > 0 || len(report.Results) != outputs || report.Results[7].Operators != builders {
					b.Fatalf("%d refused, %+v", refused, report.Results[7])
				}
				fetch, index, check = fetch+fetched, index+indexed, check+time.Since(start)
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
			for name, d := range map[string]time.Duration{"fetch-ms": fetch, "index-ms": index, "check-ms": check} {
				b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
			}
			b.ReportMetric(float64(bundles), "bundles")
		})
	}
}
