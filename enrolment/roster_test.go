package enrolment_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// key returns the key of a builder by its number: the same in every run.
func key(t *testing.T, n byte) *signing.PublicKey {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	public, err := signing.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func enrol(t *testing.T, n byte, operator string, tier enrolment.Tier) *enrolment.Enrolment {
	t.Helper()
	k := key(t, n)
	return &enrolment.Enrolment{Builder: k.Builder(), PublicKey: k.DER(), Operator: operator, Tier: tier}
}

// history applies documents at the ledger indices 0, 1, 2, … and fails where
// one is refused.
type history struct {
	t      *testing.T
	roster *enrolment.Roster
	next   uint64
}

func newHistory(t *testing.T) *history {
	t.Helper()
	return &history{t: t, roster: enrolment.NewRoster()}
}

func (h *history) apply(document interface{ Encode() ([]byte, error) }) (builder uint32, rejudge bool, err error) {
	h.t.Helper()
	body, err := document.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	kind := ledger.Enrolment
	if _, ok := document.(*enrolment.Revocation); ok {
		kind = ledger.Revocation
	}
	checked := h.roster.Check(kind, body)
	builder, rejudge, err = h.roster.Apply(h.next, kind, body)
	if (checked == nil) != (err == nil) {
		h.t.Errorf("Check says %v, Apply %v", checked, err)
	}
	h.next++
	return builder, rejudge, err
}

func (h *history) must(document interface{ Encode() ([]byte, error) }, wantBuilder uint32, wantRejudge bool) {
	h.t.Helper()
	builder, rejudge, err := h.apply(document)
	if err != nil {
		h.t.Fatal(err)
	}
	if builder != wantBuilder || rejudge != wantRejudge {
		h.t.Errorf("Apply gives builder %d, rejudge %v, want %d, %v", builder, rejudge, wantBuilder, wantRejudge)
	}
}

func (h *history) refuse(document interface{ Encode() ([]byte, error) }, want string) {
	h.t.Helper()
	before := slices.Collect(h.roster.All())
	_, _, err := h.apply(document)
	if !errors.Is(err, enrolment.ErrConflict) || !strings.Contains(err.Error(), want) {
		h.t.Errorf("got error %v, want a conflict with %q", err, want)
	}
	after := slices.Collect(h.roster.All())
	if len(before) != len(after) || !slices.EqualFunc(before, after, func(a, b enrolment.Builder) bool {
		return a.Operator == b.Operator && a.Tier == b.Tier && a.Revoked == b.Revoked && a.RevokedFrom == b.RevokedFrom
	}) {
		h.t.Error("a refused entry changed the roster")
	}
}

func (h *history) counts(builder uint32, index uint64, wantOperator uint32, want bool) {
	h.t.Helper()
	operator, counted := h.roster.Counts(builder, index)
	if operator != wantOperator || counted != want {
		h.t.Errorf("Counts(%d, %d) = %d, %v, want %d, %v", builder, index, operator, counted, wantOperator, want)
	}
}

func TestNumbersFollowTheLedger(t *testing.T) {
	h := newHistory(t)
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, false)
	h.must(enrol(t, 2, "bob", enrolment.Counted), 1, false)
	h.must(enrol(t, 3, "alice", enrolment.Open), 2, false)
	h.must(enrol(t, 2, "bob", enrolment.Open), 1, true)
	var got []string
	for b := range h.roster.All() {
		got = append(got, fmt.Sprintf("%d %s/%d %s at %d", b.Number, b.Operator, b.OperatorNumber, b.Tier, b.EnrolledAt))
		if same, ok := h.roster.Builder(b.ID); !ok || same.Number != b.Number {
			t.Errorf("Builder(%s) gives another one", b.ID)
		}
		if same, ok := h.roster.ByNumber(b.Number); !ok || same.ID != b.ID {
			t.Errorf("ByNumber(%d) gives another one", b.Number)
		}
	}
	want := []string{"0 alice/0 counted at 0", "1 bob/1 open at 1", "2 alice/0 open at 2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("builders (-want +got):\n%s", diff)
	}
	if _, ok := h.roster.ByNumber(3); ok {
		t.Error("there is a fourth builder")
	}
	if _, ok := h.roster.Builder(key(t, 9).Builder()); ok {
		t.Error("somebody is known who was never enrolled")
	}
	for b := range h.roster.All() { // stopping early is allowed
		if b.Number == 0 {
			break
		}
	}
}

func TestTierChangeMovesVerdicts(t *testing.T) {
	h := newHistory(t)
	h.must(enrol(t, 1, "alice", enrolment.Open), 0, false)
	h.counts(0, 5, 0, false)
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, true)
	h.counts(0, 5, 0, true)
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, false) // the same again
	h.counts(7, 5, 0, false)                                  // nobody's number
}

func TestConflicts(t *testing.T) {
	h := newHistory(t)
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, false)
	h.refuse(enrol(t, 1, "bob", enrolment.Counted), "belongs to operator alice, not bob")
	h.refuse(&enrolment.Revocation{Builder: key(t, 2).Builder()}, "was never enrolled")
	h.must(&enrolment.Revocation{Builder: key(t, 1).Builder(), From: 2}, 0, true)
	h.refuse(enrol(t, 1, "alice", enrolment.Counted), "was revoked: enrol a new key")
	h.must(enrol(t, 2, "bob", enrolment.Counted), 1, false) // the refused entries took no number
	h.counts(1, 9, 1, true)
}

func TestRevocation(t *testing.T) {
	h := newHistory(t)
	id := key(t, 1).Builder()
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, false)
	h.next = 100
	h.must(&enrolment.Revocation{Builder: id, From: 50, Reason: "key was copied"}, 0, true)
	h.counts(0, 49, 0, true)
	h.counts(0, 50, 0, false)
	h.must(&enrolment.Revocation{Builder: id, From: 60}, 0, false) // a later one gives nothing back
	h.counts(0, 55, 0, false)
	h.must(&enrolment.Revocation{Builder: id, From: 0}, 0, true) // retroactive
	h.counts(0, 0, 0, false)
	if b, _ := h.roster.ByNumber(0); !b.Revoked || b.RevokedFrom != 0 {
		t.Errorf("revoked %v from %d", b.Revoked, b.RevokedFrom)
	}
}

// TestRevocationOfTheFuture: a revocation acts at its own index at the latest.
func TestRevocationOfTheFuture(t *testing.T) {
	h := newHistory(t)
	h.must(enrol(t, 1, "alice", enrolment.Counted), 0, false)
	h.next = 10
	h.must(&enrolment.Revocation{Builder: key(t, 1).Builder(), From: math.MaxUint64}, 0, true)
	h.counts(0, 9, 0, true)
	h.counts(0, 10, 0, false)
}

func TestLookup(t *testing.T) {
	h := newHistory(t)
	e := enrol(t, 1, "alice", enrolment.Open) // open builders are stored too
	e.NotAfter = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	h.must(e, 0, false)
	k, err := h.roster.Lookup(e.Builder)
	if err != nil || k.Builder() != e.Builder || !k.NotAfter.Equal(e.NotAfter) {
		t.Errorf("Lookup: %+v, %v", k, err)
	}
	e.NotAfter = time.Time{}
	h.must(e, 0, false)
	if k, _ = h.roster.Lookup(e.Builder); !k.NotAfter.IsZero() {
		t.Error("the later enrolment did not change the validity")
	}
	if _, err := h.roster.Lookup(key(t, 2).Builder()); !errors.Is(err, signing.ErrUnknownBuilder) {
		t.Errorf("unknown builder: %v", err)
	}
	h.must(&enrolment.Revocation{Builder: e.Builder, From: 1}, 0, true)
	if _, err := h.roster.Lookup(e.Builder); !errors.Is(err, signing.ErrKeyNotValid) || !strings.Contains(err.Error(), "revoked from ledger index 1 on") {
		t.Errorf("revoked builder: %v", err)
	}
}

func TestOtherKindsMoveNothing(t *testing.T) {
	roster := enrolment.NewRoster()
	for _, kind := range []ledger.Kind{ledger.Attestation, ledger.PackageSet, "of-tomorrow"} {
		if err := roster.Check(kind, []byte("x")); err != nil {
			t.Error(err)
		}
		if _, rejudge, err := roster.Apply(0, kind, []byte("x")); err != nil || rejudge {
			t.Error(rejudge, err)
		}
	}
}

func TestDocuments(t *testing.T) {
	k := key(t, 1)
	good := `{"builder":"` + string(k.Builder()) + `","publicKey":"` + base64Of(t, k.DER()) + `","operator":"alice","tier":"counted"}`
	if _, _, err := enrolment.ParseEnrolment([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, replacement, want string }{
		"not JSON":          {good, "x", "parsing enrolment"},
		"unknown member":    {`"tier"`, `"x":1,"tier"`, "unknown"},
		"duplicate member":  {`"tier"`, `"operator":"bob","tier"`, "occurs twice"},
		"case variant":      {`"tier"`, `"Operator":"bob","tier"`, "unknown"},
		"operator":          {"alice", "Alice", "is not 1 to 40 characters"},
		"no operator":       {"alice", "", "is not 1 to 40 characters"},
		"operator's length": {"alice", strings.Repeat("a", 41), "is not 1 to 40 characters"},
		"tier":              {"counted", "trusted", `tier "trusted" is neither "counted" nor "open"`},
		"key":               {base64Of(t, k.DER()), "AAAA", "parsing public key"},
		"another's key":     {base64Of(t, k.DER()), base64Of(t, key(t, 2).DER()), "the key belongs to builder"},
		"validity": {
			`"tier"`, `"notBefore":"2027-01-01T00:00:00Z","notAfter":"2026-01-01T00:00:00Z","tier"`, "notBefore is not before notAfter",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := enrolment.ParseEnrolment([]byte(strings.Replace(good, test.old, test.replacement, 1)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	for name, r := range map[string]enrolment.Revocation{
		"builder":     {Builder: "alice"},
		"long reason": {Builder: k.Builder(), Reason: strings.Repeat("a", 201)},
		"two lines":   {Builder: k.Builder(), Reason: "a\nb"},
	} {
		t.Run("revocation/"+name, func(t *testing.T) {
			if _, err := r.Encode(); err == nil {
				t.Error("Encode accepts it")
			}
			body, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := enrolment.ParseRevocation(body); err == nil {
				t.Error("ParseRevocation accepts it")
			}
		})
	}
	bad := enrol(t, 1, "Alice", enrolment.Counted)
	if _, err := bad.Encode(); err == nil {
		t.Error("Encode accepts an operator that ParseEnrolment refuses")
	}
}

func base64Of(t *testing.T, data []byte) string {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(text), `"`)
}

// TestConcurrentUse lets readers run beside the one who applies entries, for the
// race detector.
func TestConcurrentUse(t *testing.T) {
	h := newHistory(t)
	h.must(enrol(t, 0, "operator-0", enrolment.Counted), 0, false)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for b := range h.roster.All() {
					h.roster.Counts(b.Number, 3)
					h.roster.ByNumber(b.Number)
					if _, err := h.roster.Lookup(b.ID); err != nil && !errors.Is(err, signing.ErrKeyNotValid) {
						t.Errorf("Lookup: %v", err)
					}
				}
			}
		})
	}
	for n := range byte(50) {
		if _, _, err := h.apply(enrol(t, n, fmt.Sprintf("operator-%d", n%7), enrolment.Open)); err != nil {
			t.Errorf("applying %d: %v", n, err)
		}
		if n%5 == 1 {
			if _, _, err := h.apply(&enrolment.Revocation{Builder: key(t, n).Builder(), From: 1}); err != nil {
				t.Errorf("revoking %d: %v", n, err)
			}
		}
	}
	close(done)
	readers.Wait()
}

// TestRulesOnlyAdvance: an entry of rules that names an earlier version than the one that
// judges takes no rule back.
func TestRulesOnlyAdvance(t *testing.T) {
	r := enrolment.NewRoster()
	for index, version := range []uint32{1, 2, 1, 2} {
		r.Judge(uint64(10*index), version)
	}
	for index, want := range map[uint64]uint32{0: 1, 9: 1, 10: 2, 20: 2, 25: 2, math.MaxUint64: 2} {
		if got := r.RulesAt(index); got != want {
			t.Errorf("version %d of the rules judges at index %d, want %d", got, index, want)
		}
	}
}
