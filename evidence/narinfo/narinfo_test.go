package narinfo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gonix "github.com/nix-community/go-nix/pkg/narinfo"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence"
	"repronet.dev/signing"
)

const (
	path  = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0"
	other = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-libdemo-2.0"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// cache is a binary cache's key.
type cache struct {
	name string
	key  ed25519.PrivateKey
}

func newCache(name string) cache {
	return cache{name, ed25519.NewKeyFromSeed(bytes.Repeat([]byte(name[:1]), 32))}
}

func (c cache) public(t testing.TB) *signing.PublicKey {
	t.Helper()
	text := c.name + ":" + base64.StdEncoding.EncodeToString(c.key.Public().(ed25519.PublicKey))
	name, key, err := ParseKey(text)
	if err != nil || name != c.name {
		t.Fatalf("parsing %q: %q, %v", text, name, err)
	}
	return key
}

// sign returns the Sig line over a fingerprint.
func (c cache) sign(fingerprint []byte) string {
	return "Sig: " + c.name + ":" + base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, fingerprint)) + "\n"
}

func lookup(t testing.TB, known ...cache) Lookup {
	t.Helper()
	keys := map[string][]signing.Key{}
	for _, c := range known {
		keys[c.name] = append(keys[c.name], signing.Key{PublicKey: c.public(t)})
	}
	return func(name string) []signing.Key { return keys[name] }
}

func content(narHash string) string {
	return "StorePath: " + path + "\nURL: nar/x.nar.xz\nCompression: xz\nNarHash: " + narHash + "\nNarSize: 464152\n" +
		"References: " + strings.TrimPrefix(other, ecosystem.NixStore) + " " + strings.TrimPrefix(path, ecosystem.NixStore) + "\nDeriver: unknown-deriver\n"
}

const nix32 = "sha256:0lxjvvpr59c2mdram7ympy5ay741f180kv3349hvfc3f8nrmbqf6"

// signed returns a narinfo that caches signed.
func signed(t testing.TB, by ...cache) []byte {
	t.Helper()
	text := content(nix32)
	info, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range by {
		text += c.sign(info.Fingerprint())
	}
	return []byte(text)
}

// TestFingerprint compares with another implementation of the format.
func TestFingerprint(t *testing.T) {
	for _, text := range []string{content(nix32), strings.Replace(content(nix32), "References: ", "References: 00bgd045z0d4icpbc2yyz4gx48ak44la-a ", 1), "StorePath: " + path + "\nNarHash: " + nix32 + "\nNarSize: 1\nReferences: \n"} {
		info, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := gonix.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		// Nix signs a sorted set; go-nix signs the order of the file.
		for i, reference := range info.References {
			theirs.References[i] = strings.TrimPrefix(reference, ecosystem.NixStore)
		}
		if diff := cmp.Diff(theirs.Fingerprint(), string(info.Fingerprint())); diff != "" {
			t.Errorf("(-go-nix +ours):\n%s", diff)
		}
	}
}

func TestParseHash(t *testing.T) {
	want, err := ParseHash(nix32)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString(want[:])
	for _, s := range []string{"sha256:" + want.Hex(), "sha256-" + b64, "sha256:" + b64} {
		if got, err := ParseHash(s); err != nil || got != want {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "sha256:", want.Hex(), "sha512:" + want.Hex(), "sha256:" + strings.ToUpper(want.Hex()), "sha256-" + want.Hex(), nix32[:len(nix32)-1],
		"sha256:" + strings.Repeat("e", 52), "sha256:" + strings.Repeat("z", 52), "sha256-" + b64[:43] + "\n", "sha256:" + strings.Repeat("0", 64),
		"sha256-" + b64[:42] + "9=", " " + nix32,
	} {
		if got, err := ParseHash(s); err == nil {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func TestOpen(t *testing.T) {
	a, b := newCache("a-cache-1"), newCache("b-cache-1")
	mallory := cache{name: a.name, key: newCache("mallory").key} // spoofs the key's name
	expired := func(name string) []signing.Key {
		return []signing.Key{{PublicKey: a.public(t), NotAfter: now.Add(-time.Hour)}}
	}
	valid := func(c cache) Signature {
		return Signature{State: evidence.Valid, Name: c.name, Builder: c.public(t).Builder()}
	}
	for _, test := range []struct {
		name   string
		body   []byte
		lookup Lookup
		want   []Signature
	}{
		{"one", signed(t, a), lookup(t, a), []Signature{valid(a)}},
		{"two", signed(t, b, a), lookup(t, a, b), []Signature{valid(b), valid(a)}},
		{"one twice", signed(t, a, a), lookup(t, a), []Signature{valid(a), valid(a)}},
		{"unknown beside known", signed(t, b, a), lookup(t, a), []Signature{{State: evidence.UnknownKey, Name: b.name}, valid(a)}},
		{"unsigned", signed(t), lookup(t, a), nil},
		{"key name spoofed", signed(t, mallory), lookup(t, a), []Signature{{State: evidence.Bad, Name: a.name}}},
		{"key name shared by two keys", signed(t, mallory), lookup(t, a, mallory), []Signature{valid(mallory)}},
		{"expired key", signed(t, a), expired, []Signature{{State: evidence.OutsideValidity, Name: a.name, Builder: a.public(t).Builder()}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := Open(test.body, test.lookup, now)
			if err != nil {
				t.Fatal(err)
			}
			got := append([]Signature(nil), v.Signatures()...)
			for i := range got {
				if got[i].State.Counts() != (got[i].Reason == "") {
					t.Errorf("state %s has the reason %q", got[i].State, got[i].Reason)
				}
				got[i].Reason = ""
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("signatures (-want +got):\n%s", diff)
			}
			if v.Output() != path || "sha256:"+v.Digest().Hex() != v.Digest().String() || !bytes.Equal(v.Body(), test.body) {
				t.Errorf("output %s %s", v.Output(), v.Digest())
			}
		})
	}
}

// TestSignedFieldsCannotChange: a narinfo with another path, hash, size or
// references does not pass with the old signature; the rest is nobody's word.
func TestSignedFieldsCannotChange(t *testing.T) {
	a := newCache("a-cache-1")
	body := string(signed(t, a))
	digest, err := ParseHash(nix32)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, old, new string
		want           evidence.State
	}{
		{"another StorePath", path + "\n", other + "\n", evidence.Bad},
		{"another NarHash", nix32, "sha256:" + strings.Repeat("1", 64), evidence.Bad},
		{"another NarSize", "464152", "464153", evidence.Bad},
		{"a reference less", "References: " + strings.TrimPrefix(other, ecosystem.NixStore) + " ", "References: ", evidence.Bad},
		{"a reference more", "References: ", "References: 1gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-more ", evidence.Bad},
		{"no references", "References: ", "X-References: ", evidence.Bad},
		{"references in another order", strings.TrimPrefix(other, ecosystem.NixStore) + " " + strings.TrimPrefix(path, ecosystem.NixStore), strings.TrimPrefix(path, ecosystem.NixStore) + " " + strings.TrimPrefix(other, ecosystem.NixStore), evidence.Valid},
		{"the hash spelled otherwise", nix32, digest.String(), evidence.Valid},
		{"another deriver", "unknown-deriver", "x.drv", evidence.Valid},
		{"another URL", "x.nar.xz", "y.nar", evidence.Valid},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(body, test.old, test.new, 1)
			if changed == body {
				t.Fatal("nothing changed")
			}
			v, err := Open([]byte(changed), lookup(t, a), now)
			if err != nil {
				t.Fatal(err)
			}
			if v.Signatures()[0].State != test.want {
				t.Errorf("state %s, want %s", v.Signatures()[0].State, test.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	a := newCache("a-cache-1")
	good := string(signed(t, a))
	for name, change := range map[string][2]string{
		"no store path":          {"StorePath: ", "Storepath: "},
		"another store":          {path + "\n", "/tmp/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0\n"},
		"a path that leads up":   {path + "\n", "/nix/store/../../etc/passwd\n"},
		"an output of a .drv":    {path + "\n", path + ".drv^out\n"},
		"a field twice":          {"NarSize: 464152\n", "NarSize: 464152\nNarSize: 464152\n"},
		"carriage returns":       {"NarSize: 464152\n", "NarSize: 464152\r\n"},
		"size with a zero":       {"464152", "0464152"},
		"size with a sign":       {"464152", "+464152"},
		"size zero":              {"464152", "0"},
		"size too large":         {"464152", "18446744073709551615"},
		"hash of another kind":   {nix32, "md5:d41d8cd98f00b204e9800998ecf8427e"},
		"empty line":             {"URL: ", "\nURL: "},
		"no colon":               {"URL: nar", "URL nar"},
		"reference as a path":    {"References: ", "References: /nix/store/"},
		"reference twice":        {"References: ", "References: " + strings.TrimPrefix(path, ecosystem.NixStore) + " "},
		"two spaces":             {"References: ", "References:  "},
		"signature without name": {"Sig: " + a.name, "Sig: "},
		"signature short":        {"Sig: " + a.name + ":", "Sig: " + a.name + ":AAAA\nSig: b:"},
		"many signatures":        {"Sig: ", strings.Repeat(a.sign(nil), MaxSignatures) + "Sig: "},
		"huge":                   {"URL: ", "URL: " + strings.Repeat("x", MaxSize)},
		"many references":        {"References: ", "References: " + strings.Repeat("x ", MaxReferences+1)},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatal("nothing changed")
			}
			if _, err := Open([]byte(bad), lookup(t, a), now); !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for _, text := range []string{"", "name", "name:", ":AAAA", "name:AAAA", "na me:" + strings.Repeat("A", 43) + "=", "name:" + strings.Repeat("A", 43)} {
		if name, _, err := ParseKey(text); err == nil {
			t.Errorf("%q is taken for the key %q", text, name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	a := newCache("a-cache-1")
	known := lookup(f, a)
	genuine := signed(f, a)
	want, err := Parse(genuine)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine)
	f.Add([]byte(fmt.Sprintf("StorePath: %s\nNarHash: sha256-%s\nNarSize: 1\n", path, base64.StdEncoding.EncodeToString(make([]byte, 32)))))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Open(body, known, now)
		if err != nil {
			return
		}
		if attestation.ValidateOutput(ecosystem.Nix, v.Output()) != nil || v.Digest().IsZero() {
			t.Errorf("output %q %s", v.Output(), v.Digest())
		}
		counts := slices.ContainsFunc(v.Signatures(), func(s Signature) bool { return s.State.Counts() })
		if counts && (v.Output() != want.StorePath || v.Digest() != want.NarHash) {
			t.Errorf("what nobody signed counts: %q", body)
		}
	})
}

// TestCheckFields: what a store of strangers' documents takes, of what [Parse] reads.
func TestCheckFields(t *testing.T) {
	good := content(nix32) + newCache("a-1").sign(nil) + "FileHash: sha256:x\nFileSize: 1\nSystem: x86_64-linux\nCA: fixed:r:sha256:x\n"
	for name, test := range map[string]struct{ text, want string }{
		"all that Nix writes": {good, ""},
		"another field":       {good + "Junk: x\n", `"Junk" is no field that Nix writes`},
		"another case":        {good + "system: x\n", `"system" is no field`},
		"a long field":        {strings.Replace(good, "unknown-deriver", strings.Repeat("x", 2000), 1), "field Deriver has 2002 bytes"},
	} {
		if _, err := Parse([]byte(test.text)); err != nil {
			t.Errorf("%s: the ledger's readers take it: %v", name, err)
		}
		err := CheckFields([]byte(test.text))
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
