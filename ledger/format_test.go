package ledger

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestEntryRoundTrip(t *testing.T) {
	for _, want := range []*Entry{
		{Kind: Attestation, ReceivedAt: time.UnixMilli(1_700_000_000_123).UTC(), Body: []byte(`{"a":1}`)},
		{Kind: "x", ReceivedAt: time.UnixMilli(0).UTC(), Body: []byte{}},
		{Kind: Kind("k" + strings.Repeat("-", 31)), ReceivedAt: time.UnixMilli(1).UTC(), Body: make([]byte, MaxBodySize)},
	} {
		data, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEntry(data)
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != want.Kind || !got.ReceivedAt.Equal(want.ReceivedAt) || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("%.20s came back as %.20s, %s, %d bytes", want.Kind, got.Kind, got.ReceivedAt, len(got.Body))
		}
	}
}

func TestEntryTooLarge(t *testing.T) {
	noise := make([]byte, MaxEntrySize)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"expanded": make([]byte, MaxBodySize+1), "compressed": noise} {
		if _, err := Pack(MapRoot, body); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	if packed, err := Pack(Kind(strings.Repeat("k", 32)), noise[:MaxEntrySize-100]); err != nil {
		t.Error(err)
	} else if n := len(packed.Encode(time.Now())); n > MaxEntrySize || n != packed.Size() {
		t.Errorf("an entry of %d bytes was made", n)
	}
}

func TestDecodeEntryRefusals(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	compress := func(n int) []byte { return encoder.EncodeAll(make([]byte, n), nil) }
	header := []byte("\x01\x01k\x00\x00\x01\x8b\x00\x00\x00\x00")
	good := append(bytes.Clone(header), compress(3)...)
	if _, err := DecodeEntry(good); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"empty":             {},
		"version":           append([]byte{3}, good[1:]...),
		"no kind":           append([]byte{1, 0}, good[3:]...),
		"kind out of range": append([]byte{1, 200}, good[2:]...),
		"kind of capitals":  append([]byte{1, 1, 'K'}, good[3:]...),
		"cut off":           good[:6],
		"no body":           header[:11],
		"body is not zstd":  append(bytes.Clone(header), "hello"...),
		"bomb":              append(bytes.Clone(header), compress(MaxBodySize+1)...),
		"bomb of frames":    append(append(bytes.Clone(header), compress(MaxBodySize)...), compress(1)...),
		"year 20000":        append([]byte("\x01\x01k\x00\x02\x00\x00\x00\x00\x00\x00"), compress(3)...),
	}
	for name, data := range tests {
		if e, err := DecodeEntry(data); err == nil && (name != "no body" || len(e.Body) != 0) {
			t.Errorf("%s was decoded", name)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	seed, err := (&Entry{Kind: Attestation, ReceivedAt: time.UnixMilli(5), Body: []byte("body")}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	folded, err := PackFolded(Addressed, []byte(`{"payload":"eHg="}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(folded.Encode(time.UnixMilli(5)))
	f.Fuzz(func(t *testing.T, data []byte) {
		entry, err := DecodeEntry(data)
		if err != nil {
			return
		}
		if len(entry.Body) > MaxBodySize {
			t.Fatalf("a body of %d bytes", len(entry.Body))
		}
		again, err := entry.Encode()
		if errors.Is(err, ErrTooLarge) {
			return // compressed better by somebody else
		}
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeEntry(again)
		if err != nil || !bytes.Equal(entry.Body, back.Body) || entry.Kind != back.Kind || !entry.ReceivedAt.Equal(back.ReceivedAt) {
			t.Fatalf("%v came back as %v, %v", entry, back, err)
		}
	})
}

func FuzzParseBundle(f *testing.F) {
	f.Add(joinBundle([][]byte{[]byte("one"), {}, []byte("three")}), 3)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		if width < 1 || width > bundleWidth {
			return
		}
		entries, err := parseBundle(data, width)
		if err != nil {
			return
		}
		if len(entries) != width || !bytes.HasPrefix(data, joinBundle(entries)) {
			t.Fatalf("%d entries of %d, which are not those of the bundle", len(entries), width)
		}
	})
}

func testKey(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "repro.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func sign(t testing.TB, signer note.Signer, text string) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestOpenCheckpoint(t *testing.T) {
	signer, verifier := testKey(t)
	stranger, _ := testKey(t)
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	const good = "repro.example.org/log\n42\n" + root + "\n"
	tests := map[string]struct {
		text []byte
		ok   bool
	}{
		"good":            {sign(t, signer, good), true},
		"with extension":  {sign(t, signer, good+"more\n"), true},
		"stranger":        {sign(t, stranger, good), false},
		"changed":         {bytes.Replace(sign(t, signer, good), []byte("42"), []byte("43"), 1), false},
		"unsigned":        {[]byte(good), false},
		"another origin":  {sign(t, signer, "other"+good), false},
		"two lines":       {sign(t, signer, "repro.example.org/log\n42\n"), false},
		"size with zero":  {sign(t, signer, strings.Replace(good, "42", "042", 1)), false},
		"negative size":   {sign(t, signer, strings.Replace(good, "42", "-42", 1)), false},
		"size over 2^62":  {sign(t, signer, strings.Replace(good, "42", "4611686018427387905", 1)), false},
		"short root":      {sign(t, signer, "repro.example.org/log\n42\nAAAA\n"), false},
		"root not base64": {sign(t, signer, strings.Replace(good, "47", "*7", 1)), false},
		"empty":           {nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := OpenCheckpoint(test.text, verifier)
			if test.ok {
				if err != nil || c.Size != 42 || c.Root.String() != root || c.Origin != verifier.Name() {
					t.Errorf("got %+v, %v", c, err)
				}
			} else if !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, %v; want ErrInvalid", c, err)
			}
		})
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, verifier := testKey(f)
	f.Add("repro.example.org/log\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", true)
	f.Add("garbage", false)
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		data := []byte(text)
		if signed {
			if !strings.HasSuffix(text, "\n") {
				return
			}
			var err error
			if data, err = note.Sign(&note.Note{Text: text}, signer); err != nil {
				return
			}
		}
		c, err := OpenCheckpoint(data, verifier)
		if err == nil && (!signed || c.Size > 1<<62 || c.Origin != verifier.Name()) {
			t.Fatalf("opened %+v", c)
		}
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func TestTilePath(t *testing.T) {
	for want, tile := range map[string]tlog.Tile{ // the examples of C2SP tlog-tiles
		"tile/0/x001/x234/067":          {H: 8, L: 0, N: 1234067, W: 256},
		"tile/2/000.p/17":               {H: 8, L: 2, N: 0, W: 17},
		"tile/entries/x001/x234/067":    {H: 8, L: -1, N: 1234067, W: 256},
		"tile/entries/x001/234.p/1":     {H: 8, L: -1, N: 1234, W: 1},
		"tile/1/x273/x999/x999/000.p/2": {H: 8, L: 1, N: 273999999000, W: 2},
	} {
		if got := tilePath(tile); got != want {
			t.Errorf("%+v: %s, want %s", tile, got, want)
		}
	}
}

// The two ways of reading hashes, checked and believed, agree with the plain
// definition at every size around the edges of tiles.
func TestHashReaders(t *testing.T) {
	const most = 256*3 + 2
	var stored []tlog.Hash
	plain := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			hashes[i] = stored[x]
		}
		return hashes, nil
	})
	files := map[string][]byte{}
	for n := range int64(most) {
		hashes, err := tlog.StoredHashes(n, []byte{byte(n), byte(n >> 8)}, plain)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		for _, tile := range tlog.NewTiles(tileHeight, n, n+1) {
			if files[tilePath(tile)], err = tlog.ReadTileData(tile, plain); err != nil {
				t.Fatal(err)
			}
		}
	}
	reader := NewReader(inMemory(files), nil)
	for _, size := range []int64{1, 2, 3, 127, 128, 255, 256, 257, 511, 512, 513, most - 1, most} {
		root, err := tlog.TreeHash(size, plain)
		if err != nil {
			t.Fatal(err)
		}
		checked := reader.Tree(&Checkpoint{Size: uint64(size), Root: root})
		for name, tree := range map[string]*Tree{"checked": checked, "local": reader.Local(uint64(size))} {
			for _, index := range []int64{0, size / 3, size / 2, size - 1} {
				want, err := tlog.ProveRecord(size, index, plain)
				if err != nil {
					t.Fatal(err)
				}
				got, err := tree.ProveInclusion(t.Context(), uint64(index))
				if err != nil {
					t.Fatalf("%s proof of %d in %d: %v", name, index, size, err)
				}
				if diff := cmp.Diff([]tlog.Hash(want), got); diff != "" {
					t.Errorf("%s proof of %d in %d (-want +got):\n%s", name, index, size, diff)
				}
				old, err := tree.Root(t.Context(), uint64(index))
				if want, wantErr := tlog.TreeHash(index, plain); index > 0 && (err != nil || wantErr != nil || old != want) {
					t.Errorf("%s root of the first %d of %d: %v, %v; want %v", name, index, size, old, err, want)
				}
			}
		}
	}
}
