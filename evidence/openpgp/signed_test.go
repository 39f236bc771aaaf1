package openpgp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

func TestSignedRoundTrip(t *testing.T) {
	whole := &Signed{Project: "demo", Text: []byte("text\r\n\x00\xff{}\n"), Signature: []byte{0xc2, '\n', 0}}
	for name, want := range map[string]*Signed{"text within": whole, "text as an attachment": whole.Detach([]string{"demo/a", "demo/b/c"})} {
		t.Run(name, func(t *testing.T) {
			body, err := want.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseSigned(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAttach(t *testing.T) {
	whole := &Signed{Project: "demo", Text: []byte("text"), Signature: []byte{0xc2, 0}}
	named := whole.Detach([]string{"demo/a"})
	fetch := func(data []byte, err error) func(context.Context, attestation.Digest) ([]byte, error) {
		return func(_ context.Context, sum attestation.Digest) ([]byte, error) {
			if sum != sha256.Sum256(whole.Text) {
				t.Errorf("asked for %s", sum)
			}
			return data, err
		}
	}
	got, err := named.Attach(t.Context(), fetch(whole.Text, nil))
	if err != nil || !bytes.Equal(got.Text, whole.Text) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := named.Attach(t.Context(), fetch([]byte("other"), nil)); !errors.Is(err, ErrMalformed) {
		t.Errorf("another text: %v", err)
	}
	if _, err := named.Attach(t.Context(), fetch(nil, fs.ErrNotExist)); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrMalformed) {
		t.Errorf("no text: %v", err)
	}
	if err := got.CheckOutputs([]string{"demo/a"}); err != nil {
		t.Error(err)
	}
	if err := got.CheckOutputs([]string{"demo/a", "demo/b"}); !errors.Is(err, ErrMalformed) {
		t.Errorf("other outputs: %v", err)
	}
}

func TestParseSignedRefuses(t *testing.T) {
	sum := hexA
	var many strings.Builder
	for i := range MaxRows + 1 {
		fmt.Fprintf(&many, `"%05d",`, i)
	}
	for name, body := range map[string]string{
		"nothing":                    "",
		"no line":                    `{"project":"demo","text":1,"signature":1}`,
		"not JSON":                   "x\nab",
		"another member":             `{"project":"demo","text":1,"signature":1,"more":1}` + "\nab",
		"a member twice":             `{"project":"demo","text":1,"text":1,"signature":1}` + "\nab",
		"white space":                `{"project": "demo","text":1,"signature":1}` + "\nab",
		"another order":              `{"text":1,"project":"demo","signature":1}` + "\nab",
		"no text":                    `{"project":"demo","text":0,"signature":2}` + "\nab",
		"no signature":               `{"project":"demo","text":2,"signature":0}` + "\nab",
		"a negative length":          `{"project":"demo","text":-1,"signature":3}` + "\nab",
		"lengths that overflow":      `{"project":"demo","text":9223372036854775807,"signature":9223372036854775807}` + "\nab",
		"too much":                   `{"project":"demo","text":1,"signature":1}` + "\nabc",
		"too little":                 `{"project":"demo","text":1,"signature":2}` + "\nab",
		"project that leads up":      `{"project":"..","text":1,"signature":1}` + "\nab",
		"outputs without reason":     `{"project":"demo","text":1,"signature":1,"outputs":["a"]}` + "\nab",
		"no outputs":                 `{"project":"demo","text":9,"signature":2,"attachment":"` + sum + `"}` + "\nab",
		"outputs not sorted":         `{"project":"demo","text":9,"signature":2,"attachment":"` + sum + `","outputs":["b","a"]}` + "\nab",
		"an output twice":            `{"project":"demo","text":9,"signature":2,"attachment":"` + sum + `","outputs":["a","a"]}` + "\nab",
		"an output that leads up":    `{"project":"demo","text":9,"signature":2,"attachment":"` + sum + `","outputs":["../a"]}` + "\nab",
		"a large attachment":         fmt.Sprintf(`{"project":"demo","text":%d,"signature":2,"attachment":%q,"outputs":["a"]}`, MaxSignedTextSize+1, sum) + "\nab",
		"more outputs than are read": `{"project":"demo","text":9,"signature":2,"attachment":"` + sum + `","outputs":[` + strings.TrimSuffix(many.String(), ",") + "]}\nab",
		"a huge first line":          `{"project":"` + strings.Repeat("x", maxHeaderSize) + "\nab",
		"a huge text":                fmt.Sprintf(`{"project":"demo","text":%d,"signature":1}`, MaxSignedTextSize+1) + "\n" + strings.Repeat("x", MaxSignedTextSize+2),
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := ParseSigned([]byte(body)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, error %v", s, err)
			}
		})
	}
}

// TestManySignatures: a text with as many signatures as releases carry, and the older
// form, in which a text with more than 16 is no evidence and never becomes it.
func TestManySignatures(t *testing.T) {
	alice := newKey(t, "alice", 0)
	lookup := keyring(t, alice).Lookup
	one := sign(t, alice.PrivateKey, text, year(2021))
	for n, want := range map[int]bool{23: true, MaxSignatures: true, MaxSignatures + 1: false} {
		s := &Signed{Project: "demo", Text: text, Signature: ascii(t, bytes.Repeat(one, n))}
		signatures, err := OpenSigned(s, lookup, now)
		if want != (err == nil) || want && len(signatures) != n {
			t.Errorf("%d signatures: %d judged, %v", n, len(signatures), err)
		}
		rows := ParseRows("demo", text)
		if _, same := s.Older(&rows); same {
			t.Errorf("%d signatures have the older form", n)
		}
	}
}

func FuzzParseSigned(f *testing.F) {
	whole := &Signed{Project: "demo", Text: []byte("text\n"), Signature: []byte{0xc2, 0}}
	for _, s := range []*Signed{whole, whole.Detach([]string{"demo/a", "demo/b"})} {
		body, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseSigned(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(again, body) {
			t.Errorf("encodes as %q, %v", again, err)
		}
	})
}
