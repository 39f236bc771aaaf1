package divergence_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// byNumber is a set of operators in which builder n belongs to operator n/2, and
// every fifth one does not count.
type byNumber struct{}

func (byNumber) Counts(builder uint32, _ uint64) (uint32, bool) { return builder / 2, builder%5 != 4 }

// claims returns n different claims of few builders, digests and inputs, so that
// they meet.
func claims(random *rand.Rand, n int) []divergence.Claim {
	type pair struct {
		builder  uint32
		digest   byte
		signedAt uint64
		document bool
	}
	seen := map[pair]bool{}
	var out []divergence.Claim
	for len(out) < n {
		p := pair{random.Uint32N(uint32(n) + 2), byte(random.IntN(4)), random.Uint64N(3), random.IntN(2) == 0}
		p.document = p.document || p.signedAt > 0
		if seen[p] {
			continue
		}
		seen[p] = true
		c := divergence.Claim{Builder: p.builder, Digest: attestation.Digest{p.digest}, Index: random.Uint64N(1 << 40), SignedAt: p.signedAt, Document: p.document}
		c.Inputs, c.Ambiguous = divergence.InputsKey(random.Uint64N(3)), c.SignedAt > 0 && random.IntN(4) == 0
		out = append(out, c)
	}
	return out
}

func outputOf(claims []divergence.Claim) *divergence.Output {
	o := &divergence.Output{}
	for _, c := range claims {
		o.Add(c)
	}
	return o
}

// TestOrderDoesNotMatter: the same claims in any order are the same state, the
// same bytes and the same judgement.
func TestOrderDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		all := claims(random, n)
		first := outputOf(all)
		encoded := first.Append(nil)
		judged := divergence.Judge(first, byNumber{})
		for range 5 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			again := outputOf(all)
			if diff := cmp.Diff(first, again); diff != "" {
				t.Fatalf("%d claims: the state depends on their order:\n%s", n, diff)
			}
			if !bytes.Equal(encoded, again.Append(nil)) {
				t.Fatalf("%d claims: the encoding depends on their order", n)
			}
			// Judge must not rely on the order either.
			if got := divergence.Judge(&divergence.Output{Claims: all}, byNumber{}); got != judged {
				t.Fatalf("%d claims: %+v in one order, %+v in another", n, judged, got)
			}
		}
	}
}

func TestCodecRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for n := range 60 {
		o := outputOf(claims(random, n))
		encoded := o.Append([]byte("before"))
		if !bytes.HasPrefix(encoded, []byte("before")) {
			t.Fatal("Append does not append")
		}
		decoded, err := divergence.DecodeOutput(encoded[len("before"):])
		if err != nil {
			t.Fatalf("%d claims: %v", n, err)
		}
		if diff := cmp.Diff(o, decoded); diff != "" {
			t.Fatalf("%d claims (-want +got):\n%s", n, diff)
		}
	}
}

func TestAddAndWithdraw(t *testing.T) {
	var o divergence.Output
	c := divergence.Claim{Builder: 1, Digest: attestation.Digest{1}, Index: 7, Inputs: 3}
	if !o.Add(c) {
		t.Error("the first claim is not new")
	}
	later := c
	later.Index, later.Inputs = 9, 4
	if o.Add(later) || o.Claims[0] != c {
		t.Errorf("repeating a claim changed it: %+v", o.Claims)
	}
	if o.Withdraw(2, c.Digest) || o.Withdraw(1, attestation.Digest{2}) {
		t.Error("somebody else's claim was withdrawn")
	}
	if !o.Withdraw(1, c.Digest) || len(o.Claims) != 0 || o.Withdraw(1, c.Digest) {
		t.Errorf("after withdrawing: %+v", o.Claims)
	}
}

func TestDecodeRefuses(t *testing.T) {
	one := outputOf([]divergence.Claim{{Builder: 1, Digest: attestation.Digest{1}, Index: 300, Inputs: 3}}).Append(nil)
	for n := 1; n < len(one); n++ {
		if o, err := divergence.DecodeOutput(one[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read as %+v", n, len(one), o)
		}
	}
	hugeBuilder := append(slices.Clone(one[:32+1+8+1]), 0xff, 0xff, 0xff, 0xff, 0x7f, 0)
	for name, data := range map[string][]byte{
		"claim twice":            append(slices.Clone(one), one...),
		"builder beyond 32 bits": hugeBuilder,
		"no groups":              append(make([]byte, 32), 0),
		"empty group":            append(append(make([]byte, 32), 1), make([]byte, 9+1)...),
		"ambiguous at no time":   append(append(make([]byte, 32), 1), append(make([]byte, 9), 1, 0, 0, 1)...),
		"endless groups":         binary.AppendUvarint(make([]byte, 32), 1<<63),
	} {
		if o, err := divergence.DecodeOutput(data); err == nil {
			t.Errorf("%s: read as %+v", name, o)
		}
	}
}

func FuzzDecodeOutput(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 5, 30} {
		f.Add(outputOf(claims(random, n)).Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := divergence.DecodeOutput(data)
		if err != nil {
			return
		}
		divergence.Judge(o, byNumber{})
		again, err := divergence.DecodeOutput(o.Append(nil))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(o, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNames(t *testing.T) {
	for _, s := range []divergence.Shape{divergence.Self, divergence.Scatter, divergence.Outlier, divergence.Split} {
		if got, ok := divergence.ParseShape(s.String()); !ok || got != s {
			t.Errorf("ParseShape(%q) = %v, %v", s, got, ok)
		}
	}
	for _, c := range []divergence.Cause{divergence.UnknownCause, divergence.Own, divergence.Inherited} {
		if got, ok := divergence.ParseCause(c.String()); !ok || got != c {
			t.Errorf("ParseCause(%q) = %v, %v", c, got, ok)
		}
	}
	for _, name := range []string{"", "Self", "other"} {
		if _, ok := divergence.ParseShape(name); ok {
			t.Errorf("ParseShape accepts %q", name)
		}
		if _, ok := divergence.ParseCause(name); ok {
			t.Errorf("ParseCause accepts %q", name)
		}
	}
}

func TestCauseOf(t *testing.T) {
	for _, test := range []struct {
		inputs   divergence.Inputs
		diverged bool
		want     divergence.Cause
	}{
		{divergence.InputsUnknown, false, divergence.UnknownCause},
		{divergence.InputsUnknown, true, divergence.UnknownCause},
		{divergence.InputsSame, false, divergence.Own},
		{divergence.InputsSame, true, divergence.Own},
		{divergence.InputsDiffer, false, divergence.UnknownCause},
		{divergence.InputsDiffer, true, divergence.Inherited},
	} {
		if got := divergence.CauseOf(test.inputs, test.diverged); got != test.want {
			t.Errorf("CauseOf(%d, %v) = %v, want %v", test.inputs, test.diverged, got, test.want)
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	for _, n := range []int{5, 200} {
		o := outputOf(claims(rand.New(rand.NewPCG(7, 8)), n))
		encoded := o.Append(nil)
		b.Run(fmt.Sprintf("judge/claims=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				divergence.Judge(o, byNumber{})
			}
		})
		b.Run(fmt.Sprintf("append/claims=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(len(encoded)), "bytes")
			buf := make([]byte, 0, len(encoded))
			for b.Loop() {
				buf = o.Append(buf[:0])
			}
		})
		b.Run(fmt.Sprintf("decode/claims=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := divergence.DecodeOutput(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
