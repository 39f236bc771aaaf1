package attestation_test

import (
	"testing"

	"repronet.dev/attestation"
)

func TestPrefix(t *testing.T) {
	id := attestation.OutputID{0xab, 0xcd, 0xef}
	for digits, want := range map[int]attestation.Prefix{3: "abc", 4: "abcd", 5: "abcde"} {
		p, err := attestation.ParsePrefix(string(want))
		if got := id.Prefix(digits); got != want || p != want || err != nil {
			t.Errorf("%d digits: %q, %q, %v", digits, got, p, err)
		}
		if !p.Has(id) || !p.Has(p.First()) || !p.Has(p.Last()) || p.Has(attestation.OutputID{0xab, 0x0c}) {
			t.Errorf("%s has not what it should", p)
		}
	}
	if first, last := attestation.Prefix("abc").First(), attestation.Prefix("abc").Last(); first[1] != 0xc0 || last[1] != 0xcf || first[19] != 0 || last[19] != 0xff {
		t.Errorf("first %x, last %x", first, last)
	}
	for _, text := range []string{"", "ab", "abcdef", "ABC", "abg", "0x1", "ab ", "ab\n", "../", "<b>", "\x1b[2", "äbc"} {
		if p, err := attestation.ParsePrefix(text); err == nil {
			t.Errorf("%q is taken as %q", text, p)
		}
	}
}
