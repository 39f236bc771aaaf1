package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func inMemory(files map[string][]byte) Fetcher {
	return func(_ context.Context, path string) (io.ReadCloser, error) {
		data, ok := files[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
}

// makeLog writes a log as a writer with the key could, of entries whose bodies
// are those given, published once at the sizes given.
func makeLog(t testing.TB, signer note.Signer, bodies []string, sizes ...int) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			found[i] = stored[x]
		}
		return found, nil
	})
	var leaves [][]byte
	published := 0
	for n, body := range bodies {
		leaf, err := (&Entry{Kind: Attestation, ReceivedAt: time.UnixMilli(int64(n)), Body: []byte(body)}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
		more, err := tlog.StoredHashes(int64(n), leaf, hashes)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		if len(sizes) == 0 || sizes[0] != n+1 {
			continue
		}
		sizes = sizes[1:]
		for _, tile := range tlog.NewTiles(tileHeight, int64(published), int64(n+1)) {
			if files[tilePath(tile)], err = tlog.ReadTileData(tile, hashes); err != nil {
				t.Fatal(err)
			}
			if tile.L == 0 {
				bundle := tile
				bundle.L = -1
				first := int(tile.N) * bundleWidth
				files[tilePath(bundle)] = joinBundle(leaves[first : first+tile.W])
			}
		}
		published = n + 1
		root, err := tlog.TreeHash(int64(n+1), hashes)
		if err != nil {
			t.Fatal(err)
		}
		files["checkpoint"] = sign(t, signer, fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), n+1, root))
	}
	return files
}

func bodies(n int, prefix string) []string {
	b := make([]string, n)
	for i := range b {
		b[i] = fmt.Sprintf("%s %d", prefix, i)
	}
	return b
}

// readAll reads a log completely and checked.
func readAll(ctx context.Context, fetch Fetcher, key note.Verifier) ([]string, error) {
	reader := NewReader(fetch, key)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	var read []string
	for record, err := range reader.Tree(checkpoint).Records(ctx, 0, checkpoint.Size) {
		if err != nil {
			return nil, err
		}
		entry, err := record.Entry()
		if err != nil {
			return nil, err
		}
		read = append(read, string(entry.Body))
	}
	return read, nil
}

func serve(t *testing.T, files map[string][]byte) (*httptest.Server, Fetcher) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[strings.TrimPrefix(r.URL.Path, "/log/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	return server, HTTP(server.Client(), server.URL+"/log")
}

// TestRedirectElsewhere: a log does not decide which other hosts are asked.
func TestRedirectElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer server.Close()
	if _, err := HTTP(http.DefaultClient, server.URL)(t.Context(), "checkpoint"); err == nil || !strings.Contains(err.Error(), "another host") {
		t.Errorf("got %v", err)
	}
}

func TestReadOverHTTP(t *testing.T) {
	signer, verifier := testKey(t)
	for _, size := range []int{1, 255, 256, 257, 700} {
		_, fetch := serve(t, makeLog(t, signer, bodies(size, "entry"), size))
		got, err := readAll(t.Context(), fetch, verifier)
		if err != nil || len(got) != size || got[size-1] != fmt.Sprintf("entry %d", size-1) {
			t.Errorf("size %d: %d entries, %v", size, len(got), err)
		}
	}
}

// A checkpoint's partial tiles may be gone when there are full ones.
func TestPartialFallsBackToFull(t *testing.T) {
	signer, verifier := testKey(t)
	files := makeLog(t, signer, bodies(700, "entry"), 300, 700)
	old := makeLog(t, signer, bodies(700, "entry"), 300)
	files["checkpoint"] = old["checkpoint"]
	maps.DeleteFunc(files, func(path string, _ []byte) bool { return strings.Contains(path, "001.p/") })
	_, fetch := serve(t, files)
	if got, err := readAll(t.Context(), fetch, verifier); err != nil || len(got) != 300 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestInvalidLogs(t *testing.T) {
	signer, verifier := testKey(t)
	good := makeLog(t, signer, bodies(700, "entry"), 700)
	other := makeLog(t, signer, append(bodies(300, "entry"), bodies(400, "other")...), 700)
	tests := map[string]func(files map[string][]byte){
		"rewritten entry": func(f map[string][]byte) { f["tile/entries/001"] = other["tile/entries/001"] },
		"entry and its hashes": func(f map[string][]byte) {
			f["tile/entries/001"], f["tile/0/001"] = other["tile/entries/001"], other["tile/0/001"]
		},
		"re-ordered": func(f map[string][]byte) {
			f["tile/entries/000"], f["tile/entries/001"] = f["tile/entries/001"], f["tile/entries/000"]
		},
		"bad tile":        func(f map[string][]byte) { f["tile/0/000"] = bytes.Clone(f["tile/0/000"]); f["tile/0/000"][77] ^= 1 },
		"bad top tile":    func(f map[string][]byte) { f["tile/1/000.p/2"] = make([]byte, 64) },
		"truncated":       func(f map[string][]byte) { delete(f, "tile/entries/002.p/188") },
		"tile is missing": func(f map[string][]byte) { delete(f, "tile/0/001") },
		"short tile":      func(f map[string][]byte) { f["tile/0/001"] = f["tile/0/001"][:32*255] },
		"crooked tile":    func(f map[string][]byte) { f["tile/0/001"] = append(bytes.Clone(f["tile/0/001"]), 1) },
		"bundle cut off":  func(f map[string][]byte) { f["tile/entries/000"] = f["tile/entries/000"][:1000] },
		"bundle too long": func(f map[string][]byte) {
			f["tile/entries/000"] = append(bytes.Clone(f["tile/entries/000"]), 0, 1, 'x')
		},
		"oversized bundle":     func(f map[string][]byte) { f["tile/entries/000"] = make([]byte, maxBundleSize+1) },
		"oversized tile":       func(f map[string][]byte) { f["tile/0/000"] = make([]byte, 8193) },
		"oversized checkpoint": func(f map[string][]byte) { f["checkpoint"] = make([]byte, maxCheckpointSize+1) },
		"another's checkpoint": func(f map[string][]byte) {
			stranger, _ := testKey(t)
			f["checkpoint"] = makeLog(t, stranger, bodies(700, "entry"), 700)["checkpoint"]
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(good)
			change(files)
			_, fetch := serve(t, files)
			if got, err := readAll(t.Context(), fetch, verifier); !errors.Is(err, ErrInvalid) {
				t.Errorf("%d entries, %v; want ErrInvalid", len(got), err)
			}
		})
	}
}

func TestTroubleOnTheWayIsNotInvalid(t *testing.T) {
	signer, verifier := testKey(t)
	files := makeLog(t, signer, bodies(10, "entry"), 10)
	tests := map[string]http.HandlerFunc{
		"server error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
		"slow":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("short"))
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/checkpoint" {
					_, _ = w.Write(files["checkpoint"])
				} else {
					handler(w, r)
				}
			}))
			defer server.Close()
			client := server.Client()
			client.Timeout = 100 * time.Millisecond
			if _, err := readAll(t.Context(), HTTP(client, server.URL), verifier); err == nil || errors.Is(err, ErrInvalid) {
				t.Errorf("got %v; want an error that is not ErrInvalid", err)
			}
		})
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := readAll(t.Context(), HTTP(server.Client(), server.URL), verifier); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrInvalid) {
		t.Errorf("no log at all: %v; want ErrNotExist and not ErrInvalid", err)
	}
}

func TestCheckContinues(t *testing.T) {
	signer, verifier := testKey(t)
	open := func(files map[string][]byte) (*Reader, *Checkpoint) {
		reader := NewReader(inMemory(files), verifier)
		checkpoint, err := reader.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return reader, checkpoint
	}
	_, empty := open(map[string][]byte{"checkpoint": sign(t, signer, signer.Name()+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")})
	_, old := open(makeLog(t, signer, bodies(300, "entry"), 300))
	reader, continued := open(makeLog(t, signer, bodies(700, "entry"), 700))
	for _, c := range []*Checkpoint{empty, old, continued} {
		if err := reader.Tree(continued).CheckContinues(t.Context(), c); err != nil {
			t.Errorf("a tree of %d continues one of %d: %v", continued.Size, c.Size, err)
		}
	}
	for _, size := range []int{300, 301, 700} {
		reader, forked := open(makeLog(t, signer, append(bodies(299, "entry"), bodies(size-299, "other")...), size))
		err := reader.Tree(forked).CheckContinues(t.Context(), old)
		fork, ok := errors.AsType[*ForkError](err)
		if !ok || !errors.Is(err, ErrInvalid) || fork.Old != old || fork.New != forked {
			t.Errorf("fork of size %d: %v", size, err)
		}
	}
}

func TestConsistencyProof(t *testing.T) {
	signer, verifier := testKey(t)
	reader := NewReader(inMemory(makeLog(t, signer, bodies(700, "entry"), 700)), verifier)
	checkpoint, err := reader.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tree := reader.Tree(checkpoint)
	for _, size := range []uint64{1, 256, 300, 700} {
		proof, err := tree.ProveConsistency(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		old, err := tree.Root(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(proof, 700, checkpoint.Root, int64(size), old); err != nil {
			t.Errorf("proof from %d: %v", size, err)
		}
	}
	if _, err := tree.ProveConsistency(t.Context(), 701); err == nil {
		t.Error("consistency with a larger tree was proved")
	}
}

func TestAttachments(t *testing.T) {
	dir := t.TempDir()
	store, err := OpenAttachments(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("member\n"), 10000)
	for range 2 {
		id, err := store.Put(bytes.NewReader(content))
		if err != nil || id != AttachmentID(sha256.Sum256(content)) {
			t.Fatalf("Put: %x, %v", id, err)
		}
	}
	id := AttachmentID(sha256.Sum256(content))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	fetch := HTTP(server.Client(), server.URL)
	if got, err := store.Get(t.Context(), id); err != nil || !bytes.Equal(got, content) {
		t.Errorf("Get: %d bytes, %v", len(got), err)
	}
	if got, err := FetchAttachment(t.Context(), fetch, id); err != nil || !bytes.Equal(got, content) {
		t.Errorf("FetchAttachment: %d bytes, %v", len(got), err)
	}
	if _, err := FetchAttachment(t.Context(), fetch, AttachmentID{1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, id.path()), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchAttachment(t.Context(), fetch, id); !errors.Is(err, ErrInvalid) {
		t.Errorf("changed: %v, want ErrInvalid", err)
	}
	if _, err := store.Put(io.LimitReader(zeros{}, MaxAttachmentSize+1)); err == nil {
		t.Error("too large an attachment was stored")
	}
	left, err := filepath.Glob(filepath.Join(dir, "attachments", ".tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestErasedAttachment: what was erased is gone, and its bytes do not come back.
func TestErasedAttachment(t *testing.T) {
	dir := t.TempDir()
	store, err := OpenAttachments(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("Alice <alice@example.org>")
	id, err := store.Put(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time after a crash
		if err := store.Erase(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Get(t.Context(), id); !errors.Is(err, ErrErased) || !store.Erased(id) {
		t.Errorf("Get: %v", err)
	}
	if _, err := store.Put(bytes.NewReader(content)); !errors.Is(err, ErrErased) {
		t.Errorf("Put: %v", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("%s is still there", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := store.Put(strings.NewReader("another")); err != nil {
		t.Error(err)
	}
}
