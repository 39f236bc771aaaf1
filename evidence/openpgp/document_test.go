package openpgp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

func TestDocumentRoundTrip(t *testing.T) {
	want := &Document{Project: "demo", Text: []byte("text\r\n\x00\xff"), Signature: []byte{0xc2, 0}}
	body, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDocument(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseDocumentRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":              `x`,
		"another member":        `{"project":"demo","text":"eA==","signature":"eA==","more":1}`,
		"a member twice":        `{"project":"demo","project":"other","text":"eA==","signature":"eA=="}`,
		"another case":          `{"Project":"demo","text":"eA==","signature":"eA=="}`,
		"white space":           `{"project": "demo","text":"eA==","signature":"eA=="}`,
		"another order":         `{"text":"eA==","project":"demo","signature":"eA=="}`,
		"base 64 with a rest":   `{"project":"demo","text":"eB==","signature":"eA=="}`,
		"base 64 of the URLs":   `{"project":"demo","text":"_w==","signature":"eA=="}`,
		"escapes":               `{"project":"\u0064emo","text":"eA==","signature":"eA=="}`,
		"no text":               `{"project":"demo","text":"","signature":"eA=="}`,
		"no signature":          `{"project":"demo","text":"eA=="}`,
		"project with a slash":  `{"project":"a/b","text":"eA==","signature":"eA=="}`,
		"project that leads up": `{"project":"..","text":"eA==","signature":"eA=="}`,
		"huge":                  strings.Repeat(" ", 2*MaxTextSize),
		"huge text":             `{"project":"demo","text":"` + strings.Repeat("AAAA", MaxTextSize/3+1) + `","signature":"eA=="}`,
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := ParseDocument([]byte(body)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, error %v", d, err)
			}
		})
	}
}

func TestParseSums(t *testing.T) {
	digit := func(d string) (string, attestation.Digest) {
		digest, err := attestation.ParseDigest(strings.Repeat(d, 64))
		if err != nil {
			t.Fatal(err)
		}
		return digest.Hex(), digest
	}
	hexA, a := digit("a")
	hexB, b := digit("b")
	for _, test := range []struct {
		name, text string
		want       Sums
	}{
		{"text and binary mode", hexA + "  x.tar\n" + hexB + " *y.tar\n", Sums{Claims: []Claim{{"demo/x.tar", a}, {"demo/y.tar", b}}}},
		{"no new line at the end", hexA + "  x.tar", Sums{Claims: []Claim{{"demo/x.tar", a}}}},
		{"carriage returns", hexA + "  x.tar\r\r\n", Sums{Claims: []Claim{{"demo/x.tar", a}}}},
		{"folders", hexA + "  aarch64/x.tar\n", Sums{Claims: []Claim{{"demo/aarch64/x.tar", a}}}},
		{"the same row twice", hexA + "  x.tar\n\n" + hexA + " *x.tar\n", Sums{Claims: []Claim{{"demo/x.tar", a}}}},
		{"the same file twice", hexA + "  x.tar\n" + hexB + "  y.tar\n" + hexB + "  x.tar\n" + hexA + "  x.tar\n", Sums{
			Claims: []Claim{{"demo/y.tar", b}}, Ambiguous: []Ambiguity{{"demo/x.tar", []attestation.Digest{a, b}}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ParseSums("demo", []byte(test.text))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostileRows holds file names as paths: each is rejected, and the honest row
// beside it stands.
func TestHostileRows(t *testing.T) {
	hex := strings.Repeat("a", 64)
	for _, row := range []string{
		hex + "  ../../etc/passwd", hex + "  a/../../b", hex + "  /etc/passwd", hex + "  ./x", hex + "  a//b", hex + "  a/",
		hex + "  ..", hex + "  .", hex + "  a\x00b", hex + "  a\x1b[2Jb", hex + "  a\tb", hex + "  a b", hex + "  <script>", hex + `  a\b`,
		hex + "  a\u202eb", hex + "  x^out", hex + "  \xff\xfe", hex + "  " + strings.Repeat("x", 600), hex + "  ", hex, hex + " x",
		strings.ToUpper(hex) + "  x", hex[:63] + "g  x", hex[1:] + "  x", hex + "a  x", strings.Repeat("0", 64) + "  x",
		"\\" + hex + "  a\\nb", "SHA256 (x) = " + hex, "# " + hex + "  x", "-----BEGIN PGP SIGNED MESSAGE-----",
	} {
		s := ParseSums("demo", []byte(row+"\n"+hex+"  honest\n"))
		if len(s.Rejected) != 1 || s.Rejected[0].Line != 1 || s.Rejected[0].Reason == "" {
			t.Errorf("%q: rejected %v", row, s.Rejected)
		}
		if len(s.Claims) != 1 || s.Claims[0].Output != "demo/honest" || len(s.Ambiguous) != 0 {
			t.Errorf("%q: says %v", row, s.Claims)
		}
	}
}

func TestTooManyRows(t *testing.T) {
	var b strings.Builder
	for i := range MaxLines + 10 {
		fmt.Fprintf(&b, "%064x  x%d\n", i+1, i)
	}
	s := ParseSums("demo", []byte(b.String()))
	if len(s.Claims) != MaxLines || len(s.Rejected) != 1 || s.Rejected[0].Line != MaxLines+1 {
		t.Errorf("%d claims, rejected %v", len(s.Claims), s.Rejected)
	}
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("a", 64) + "  x.tar.gz\r\n"))
	f.Add([]byte(strings.Repeat("a", 64) + " *../x\n" + strings.Repeat("b", 64) + "  x\n" + strings.Repeat("c", 64) + "  x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := ParseSums("demo", text)
		seen := map[string]bool{}
		check := func(output string) {
			if seen[output] || attestation.ValidateOutput("release", output) != nil || !strings.HasPrefix(output, "demo/") || strings.ContainsAny(output, "^\\\r\n") {
				t.Errorf("output %q", output)
			}
			seen[output] = true
		}
		for _, c := range s.Claims {
			check(c.Output)
		}
		for _, a := range s.Ambiguous {
			check(a.Output)
			if len(a.Digests) < 2 {
				t.Errorf("ambiguous %v", a)
			}
		}
	})
}

func FuzzParseDocument(f *testing.F) {
	f.Add([]byte(`{"project":"demo","text":"eA==","signature":"eA=="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseDocument(body)
		if err != nil {
			return
		}
		if again, err := d.Encode(); err != nil || string(again) != string(body) {
			t.Errorf("encodes as %q, %v", again, err)
		}
	})
}
