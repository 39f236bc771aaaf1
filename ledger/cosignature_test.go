package ledger

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosigned returns a checkpoint that the witnesses cosigned, and the log's key.
func cosigned(t *testing.T, times ...time.Time) (*Checkpoint, note.Verifier, []*WitnessSigner) {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, "example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	var root tlog.Hash
	_, _ = rand.Read(root[:]) // never fails
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("example.org/log\n7\n%s\n", root)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCheckpoint(text, key)
	if err != nil {
		t.Fatal(err)
	}
	var witnesses []*WitnessSigner
	for i, at := range times {
		w, err := NewWitnessSigner(fmt.Sprintf("w%d.example.org", i))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseWitnessSigner(w.Secret()); err != nil || again.String() != w.String() {
			t.Fatalf("the key came back as %v, %v", again, err)
		}
		text = append(text, w.Cosign(c, at)...)
		witnesses = append(witnesses, w)
	}
	if c, err = OpenCheckpoint(text, key); err != nil {
		t.Fatal(err)
	}
	return c, key, witnesses
}

func TestCosignatures(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c, _, w := cosigned(t, now, now.Add(-time.Hour), now.Add(-2*time.Hour))
	stranger, err := NewWitnessSigner("stranger.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		keys   []string
		quorum int
		want   time.Time // zero: not cosigned
	}{
		{"any", []string{w[0].String(), w[1].String(), w[2].String()}, 1, now},
		{"two", []string{w[0].String(), w[1].String(), w[2].String()}, 2, now.Add(-time.Hour)},
		{"all", []string{w[0].String(), w[1].String(), w[2].String()}, 3, now.Add(-2 * time.Hour)},
		{"one is absent", []string{w[0].String(), stranger.String()}, 1, now},
		{"too few", []string{w[0].String(), stranger.String()}, 2, time.Time{}},
		{"none", []string{stranger.String()}, 1, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			witnesses, err := NewWitnesses(test.keys, test.quorum)
			if err != nil {
				t.Fatal(err)
			}
			at, err := witnesses.Check(c)
			if !at.Equal(test.want) || errors.Is(err, ErrNotCosigned) != test.want.IsZero() {
				t.Errorf("cosigned at %v, %v; want %v", at, err, test.want)
			}
		})
	}
	if at, err := (*Witnesses)(nil).Check(c); err != nil || !at.IsZero() {
		t.Errorf("nobody is asked for: %v, %v", at, err)
	}
}

// A cosignature is of one checkpoint and one time, by one key.
func TestForgedCosignatures(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c, key, w := cosigned(t, now)
	witnesses, err := NewWitnesses([]string{w[0].String()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := cosigned(t, now)
	lines := strings.SplitAfter(string(c.Text), "\n")
	mine := lines[len(lines)-2]
	encoded := strings.TrimSpace(mine[strings.LastIndex(mine, " "):])
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	raw[11]++ // a second later
	for name, text := range map[string]string{
		"none":                   strings.TrimSuffix(string(c.Text), mine),
		"another time":           strings.Replace(string(c.Text), encoded, base64.StdEncoding.EncodeToString(raw), 1),
		"cut off":                strings.Replace(string(c.Text), encoded, base64.StdEncoding.EncodeToString(raw[:40]), 1),
		"of another checkpoint":  string(other.Text) + mine,
		"without the log's line": strings.Replace(string(c.Text), lines[4], "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			forged := &Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root, Text: []byte(text)}
			if opened, err := OpenCheckpoint([]byte(text), key); err == nil {
				forged = opened
			} else if name == "without the log's line" {
				return // not even the log's
			}
			if _, err := witnesses.Check(forged); !errors.Is(err, ErrNotCosigned) {
				t.Errorf("got %v, want ErrNotCosigned\n%s", err, text)
			}
		})
	}
}

// A key that cosigns under two names is one witness.
func TestWitnessKeys(t *testing.T) {
	w, err := NewWitnessSigner("w.example.org")
	if err != nil {
		t.Fatal(err)
	}
	alias := &WitnessSigner{"x.example.org", w.key}
	other, err := NewWitnessSigner("y.example.org")
	if err != nil {
		t.Fatal(err)
	}
	_, plain, err := note.GenerateKey(rand.Reader, "plain.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		keys   []string
		quorum int
		good   bool
	}{
		"one":                {[]string{w.String()}, 1, true},
		"a plain key":        {[]string{plain}, 1, true},
		"two":                {[]string{w.String(), other.String()}, 2, true},
		"none":               {nil, 0, true},
		"twice":              {[]string{w.String(), w.String()}, 2, false},
		"under another name": {[]string{w.String(), alias.String()}, 2, false},
		"no quorum":          {[]string{w.String()}, 0, false},
		"too great a quorum": {[]string{w.String()}, 2, false},
		"a quorum of none":   {nil, 1, false},
		"another hash":       {[]string{strings.Replace(w.String(), "w.", "v.", 1)}, 1, false},
		"cut off":            {[]string{w.String()[:40]}, 1, false},
		"a private key":      {[]string{w.Secret()}, 1, false},
	} {
		if _, err := NewWitnesses(test.keys, test.quorum); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a+b"} {
		if _, err := NewWitnessSigner(name); err == nil {
			t.Errorf("a witness is called %q", name)
		}
	}
}
