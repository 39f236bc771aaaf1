package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"repronet.dev/internal/needtest"
)

// bundleOf is a bundle around a statement on a number of outputs, as the reporter writes it.
func bundleOf(outputs int) []byte {
	digest := func(n int) string {
		sum := sha256.Sum256(fmt.Append(nil, n))
		return hex.EncodeToString(sum[:])
	}
	const alphabet = "0123456789abcdfghijklmnpqrsvwxyz" // Nix's
	path := func(n int) string {
		sum := sha256.Sum256(fmt.Append(nil, "path", n))
		hash := make([]byte, 32)
		for i := range hash {
			hash[i] = alphabet[sum[i]%32]
		}
		return fmt.Sprintf("/nix/store/%s-package%d-1.%d", hash, n%1000, n%7)
	}
	var subjects, builds []string
	for i := range outputs {
		subjects = append(subjects, fmt.Sprintf(`{"name":%q,"digest":{"sha256":"%s"}}`, path(i), digest(i)))
		builds = append(builds, fmt.Sprintf(`{"name":"%s.drv","outputs":[%d],"startedOn":"2026-07-01T00:%02d:%02dZ","finishedOn":"2026-07-01T01:%02d:%02dZ","occasion":"build"}`,
			path(i+1<<20), i, i/60%60, i%60, i/60%60, i%59))
	}
	payload := `{"_type":"https://in-toto.io/Statement/v1","subject":[` + strings.Join(subjects, ",") +
		`],"predicateType":"https://repronet.dev/rebuild/v1","predicate":{"ecosystem":"nix","digestKind":"nar","stream":"` + digest(1)[:32] +
		`","sequence":7,"previous":"` + digest(2) + `","environment":{"nix":"2.31.2","system":"x86_64-linux"},"builds":[` + strings.Join(builds, ",") + `]}}`
	return []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"` +
		base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}},"dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) +
		`","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"` + base64.StdEncoding.EncodeToString([]byte(digest(3))) + `"}]}}`)
}

// TestFolded: a statement's body comes back byte for byte, from an entry of a fraction of the
// size; and the zstd program reads it.
func TestFolded(t *testing.T) {
	for _, outputs := range []int{1, 100} {
		body := bundleOf(outputs)
		packed, err := PackFolded(Attestation, body)
		if err != nil {
			t.Fatal(err)
		}
		data := packed.Encode(time.UnixMilli(5))
		entry, err := DecodeEntry(data)
		if err != nil || !bytes.Equal(entry.Body, body) || data[0] != foldedVersion {
			t.Fatalf("version %d, %v", data[0], err)
		}
		plain, err := Pack(Attestation, body)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d outputs: %d bytes an output, plain %d", outputs, packed.Size()/outputs, plain.Size()/outputs)
		if packed.Size()*4 > plain.Size()*3 {
			t.Errorf("%d outputs take %d bytes, plain %d", outputs, packed.Size(), plain.Size())
		}
		zstd := needtest.Program(t, "zstd", "zstd")
		command := exec.CommandContext(t.Context(), zstd, "-d", "-c", "-D", "statement.dictionary")
		command.Stdin = bytes.NewReader(packed.compressed)
		folded, err := command.Output()
		if want, _ := fold(body); err != nil || !bytes.Equal(folded, want) {
			t.Errorf("%s reads %d bytes, %v; want %d", zstd, len(folded), err, len(want))
		}
	}
}

// TestNotFolded: whatever is spelled otherwise is held as it is, and comes back so.
func TestNotFolded(t *testing.T) {
	for name, body := range map[string]string{
		"no payload":      `{}`,
		"empty payload":   `{"payload":""}`,
		"no end":          `{"payload":"eHg=`,
		"for URLs":        `{"payload":"-_-_"}`,
		"without padding": `{"payload":"eHg"}`,
		"line break":      "{\"payload\":\"eHh4\neHh4\"}",
		"escaped":         `{"payload":"eHh4\/Hh4"}`,
		"loose bits":      `{"payload":"eHh="}`,
		"a space":         `{"payload": "eHg="}`,
	} {
		packed, err := PackFolded(Attestation, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		data := packed.Encode(time.UnixMilli(5))
		if entry, err := DecodeEntry(data); err != nil || string(entry.Body) != body || data[0] != plainVersion {
			t.Errorf("%s: version %d, %q, %v", name, data[0], entry.Body, err)
		}
	}
	if packed, err := PackFolded(Narinfo, []byte(`{"payload":"eHg="}`)); err != nil || packed.version != plainVersion {
		t.Errorf("no statement: version %d, %v", packed.version, err)
	}
}

// TestUnfoldRefuses: an entry has one form.
func TestUnfoldRefuses(t *testing.T) {
	const before = `{"payload":"`
	whole := string(rune(len(before))) + before + "\x02xx" + `"}`
	if body, err := unfold([]byte(whole)); err != nil || string(body) != `{"payload":"eHg="}` {
		t.Fatalf("%q, %v", body, err)
	}
	for name, folded := range map[string]string{
		"nothing":          "",
		"only a length":    "\x05",
		"longer than it":   "\x7f" + before,
		"no payload":       string(rune(len(before))) + before,
		"empty payload":    string(rune(len(before))) + before + "\x00\"}",
		"longer payload":   string(rune(len(before))) + before + "\x09xx\"}",
		"a longer length":  string(rune(len(before))) + before + "\x82\x00xx\"}",
		"no end":           string(rune(len(before))) + before + "\x02xx",
		"another end":      string(rune(len(before))) + before + "\x02xx}",
		"cut elsewhere":    "\x01{" + "\x02xx" + `"payload":"eHg="}`,
		"the second of it": string(rune(2*len(before))) + before + before + "\x02xx\"}",
		"large":            string(rune(len(before))) + before + "\x80\x80\x80\x02" + strings.Repeat("x", MaxBodySize) + `"}`,
	} {
		if body, err := unfold([]byte(folded)); err == nil {
			t.Errorf("%s: %.100q", name, body)
		}
	}
	data := []byte{foldedVersion, byte(len(Narinfo))}
	data = append(append(data, Narinfo...), make([]byte, 8)...)
	if entry, err := DecodeEntry(append(data, folder().EncodeAll([]byte(whole), nil)...)); err == nil {
		t.Errorf("a folded narinfo is read as %q", entry.Body)
	}
}

// TestDictionary: it is part of the format.
func TestDictionary(t *testing.T) {
	const want = "a5c6599f907944c69808a644e4ff101902e567cfe9331f36891ff8fed11d9398"
	if sum := sha256.Sum256(dictionary); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the dictionary has changed: no entry of version 2 can be read any more (%x)", sum)
	}
}
