package index_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"repronet.dev/aggregator/index"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/signing/signingtest"
)

// A forked stream is told once, and again when it forks elsewhere.
func TestForkedStreamIsLogged(t *testing.T) {
	w := newWorld(t)
	alice := signingtest.Named("alice")
	w.enrol(alice, "alice", enrolment.Counted)
	link := func(sequence uint64, digest string) {
		s := w.rebuild("generic", "hello", digest)
		s.Chain = attestation.Chain{Stream: strings.Repeat("ab", 16), Sequence: sequence}
		if sequence > 0 {
			s.Chain.Previous = attestation.Digest{1}
		}
		w.attest(alice, s)
	}
	var log bytes.Buffer
	s := openStore(t)
	x := newIndex(t, index.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, s, w.log)
	told := func() int {
		t.Helper()
		log.Reset()
		if err := x.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := x.RollUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Count(log.String(), "level=WARN msg=\"a stream of statements is forked\" builder="+string(alice.Public().Builder()))
	}
	link(0, "1")
	link(1, "2")
	if n := told(); n != 0 {
		t.Errorf("a stream that is none is told %d times", n)
	}
	link(1, "3")
	if n := told(); n != 1 {
		t.Errorf("a fork is told %d times:\n%s", n, &log)
	}
	link(2, "4")
	if n := told(); n != 0 {
		t.Errorf("it is told again: %d", n)
	}
	link(2, "5")
	if n := told(); n != 1 || !strings.Contains(log.String(), "[1 2]") {
		t.Errorf("the second fork is told %d times:\n%s", n, &log)
	}
}
