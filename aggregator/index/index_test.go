package index_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/enrolment"
	"repronet.dev/signing/signingtest"
)

func TestCatchUp(t *testing.T) {
	w := newWorld(t)
	a, b, c := signingtest.Named("a"), signingtest.Named("b"), signingtest.Named("c")
	w.enrol(a, "alice", enrolment.Counted)
	w.enrol(b, "bob", enrolment.Counted)
	w.attest(a, w.rebuild("generic", "hello", "1", "date", "2"))
	w.attest(b, w.rebuild("generic", "hello", "1", "date", "3"))
	w.attest(c, w.rebuild("generic", "hello", "4")) // not enrolled

	s := openStore(t)
	x := newIndex(t, index.Config{}, s, w.log)
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Current().Watermark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := store.Watermark{
		Size: 5, Outputs: 2, Attestations: 2, Observations: 4, Ignored: 1, Builders: 2, Operators: 2, ReceivedAt: w.now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("watermark (-want +got):\n%s", diff)
	}
	counts, err := s.Current().LatestCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(counts) != 1 || counts[0].Counts != (store.Counts{0, 0, 1, 1}) {
		t.Errorf("counts = %+v, want one reproduced, one diverged", counts)
	}
}
