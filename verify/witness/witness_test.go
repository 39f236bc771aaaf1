package witness_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
	"repronet.dev/verify/verifytest"
	"repronet.dev/verify/witness"
)

func open(t *testing.T, config witness.Config) *witness.Witness {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	w, err := witness.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() }) // some tests close it themselves
	return w
}

func newWitness(t *testing.T, name string, key *writer.Key) *witness.Witness {
	t.Helper()
	return open(t, witness.Config{KeyFile: filepath.Join(t.TempDir(), "key"), Name: name, Logs: []string{key.String()}})
}

// policy asks for so many of the witnesses.
func policy(quorum int, urls, keys []string) []byte {
	var text strings.Builder
	var names []string
	for i := range urls {
		fmt.Fprintf(&text, "witness w%d %s %s\n", i, keys[i], urls[i])
		names = append(names, fmt.Sprintf("w%d", i))
	}
	fmt.Fprintf(&text, "group g %d %s\nquorum g\n", quorum, strings.Join(names, " "))
	return []byte(text.String())
}

func openLog(t *testing.T, dir string, key *writer.Key, witnesses []byte) *writer.Log {
	t.Helper()
	log, err := writer.Open(t.Context(), writer.Config{
		Dir: dir, Key: key, CheckpointInterval: 200 * time.Millisecond, Witnesses: witnesses,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return log
}

func newKey(t *testing.T) *writer.Key {
	t.Helper()
	key, err := writer.LoadOrCreateKey(filepath.Join(t.TempDir(), "log.key"), "repro.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// add appends an entry, and returns the checkpoint of its receipt.
func add(t *testing.T, log *writer.Log, key *writer.Key, text string) *ledger.Checkpoint {
	t.Helper()
	index, err := log.Append(t.Context(), "filler", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := log.Receipt(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(key.Verifier()); err != nil {
		t.Fatalf("the receipt of a cosigned checkpoint does not verify: %v", err)
	}
	c, err := ledger.OpenCheckpoint([]byte(receipt.Checkpoint), key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The client is the one that the field's logs use.
func TestWitnessesOfATesseraLog(t *testing.T) {
	key := newKey(t)
	var urls, keys []string
	for _, name := range []string{"one.example.org", "two.example.org/w"} {
		w := newWitness(t, name, key)
		urls, keys = append(urls, verifytest.Serve(t, w)), append(keys, w.Key())
	}
	log := openLog(t, filepath.Join(t.TempDir(), "log"), key, policy(2, urls, keys))
	witnesses, err := ledger.NewWitnesses(keys, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		c := add(t, log, key, fmt.Sprint(i))
		at, err := witnesses.Check(c)
		if err != nil {
			t.Fatalf("%d: %v\n%s", i, err, c.Text)
		}
		if age := time.Since(at); age < -time.Minute || age > time.Minute {
			t.Errorf("cosigned at %v", at)
		}
	}
}

// Nobody who wants a receipt waits for a witness that is slow, gone, or talks
// without end, and the checkpoint says what it lacks.
func TestWitnessesThatDoNotAnswer(t *testing.T) {
	var served int
	for name, answer := range map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"refuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 1<<20); ; {
				n, err := w.Write(chunk)
				served += n
				if err != nil {
					return
				}
			}
		},
		"sends elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := newKey(t)
			good := newWitness(t, "good.example.org", key)
			bad := newWitness(t, "bad.example.org", key)
			server := httptest.NewServer(answer)
			keys := []string{good.Key(), bad.Key()}
			log := openLog(t, filepath.Join(t.TempDir(), "log"), key, policy(2, []string{verifytest.Serve(t, good), server.URL}, keys))
			start := time.Now()
			c := add(t, log, key, "an entry")
			if waited := time.Since(start); waited > time.Minute {
				t.Errorf("the receipt took %v", waited)
			}
			server.CloseClientConnections()
			server.Close()
			if served > 64<<20 {
				t.Errorf("%d bytes of an answer were read", served)
			}
			for quorum, want := range []error{nil, nil, ledger.ErrNotCosigned} {
				witnesses, err := ledger.NewWitnesses(keys[:max(quorum, 1)], max(quorum, 1))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := witnesses.Check(c); !errors.Is(err, want) {
					t.Errorf("a quorum of %d: %v, want %v", quorum, err, want)
				}
			}
		})
	}
}

// hashes are those of a log of n entries.
type hashes []tlog.Hash

func newHashes(t *testing.T, n int, text string) hashes {
	t.Helper()
	var h hashes
	for i := range n {
		stored, err := tlog.StoredHashes(int64(i), fmt.Appendf(nil, "%s %d", text, i), h)
		if err != nil {
			t.Fatal(err)
		}
		h = append(h, stored...)
	}
	return h
}

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, i := range indexes {
		found = append(found, h[i])
	}
	return found, nil
}

// ask makes a request for the first size entries of a log, with a proof from the
// first old ones.
func (h hashes) ask(t *testing.T, key note.Signer, old, size int64) string {
	t.Helper()
	body := fmt.Sprintf("old %d\n", old)
	if old > 0 && old <= size {
		proof, err := tlog.ProveTree(size, old, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range proof {
			body += base64.StdEncoding.EncodeToString(p[:]) + "\n"
		}
	}
	root, err := tlog.TreeHash(size, h)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", key.Name(), size, root)}, key)
	if err != nil {
		t.Fatal(err)
	}
	return body + "\n" + string(checkpoint)
}

func post(t *testing.T, w http.Handler, body string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	return answer
}

func TestWitnessRefuses(t *testing.T) {
	key, other := newKey(t), newKey(t)
	unknown, err := writer.LoadOrCreateKey(filepath.Join(t.TempDir(), "log.key"), "elsewhere.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t, "w.example.org", key)
	mine, fork := newHashes(t, 40, "mine"), newHashes(t, 40, "another history")
	for _, step := range []struct {
		name, body string
		status     int
		size       string // of a conflict
	}{
		{"first", mine.ask(t, key, 0, 10), 200, ""},
		{"grown", mine.ask(t, key, 10, 20), 200, ""},
		{"again", mine.ask(t, key, 20, 20), 200, ""},
		{"as from the beginning", mine.ask(t, key, 0, 30), 409, "20\n"},
		{"rolled back", mine.ask(t, key, 10, 15), 409, "20\n"},
		{"rolled back, and the sender knows better", mine.ask(t, key, 20, 15), 400, ""},
		{"a fork of the same size", fork.ask(t, key, 20, 20), 409, ""},
		{"a fork that grew", fork.ask(t, key, 20, 30), 422, ""},
		{"a fork as from the beginning", fork.ask(t, key, 0, 30), 409, "20\n"},
		{"another key of that name", mine.ask(t, other, 20, 30), 403, ""},
		{"another log", mine.ask(t, unknown, 0, 30), 404, ""},
		{"no proof", "old 20\n\n" + strings.SplitN(mine.ask(t, key, 20, 30), "\n\n", 2)[1], 422, ""},
		{"no size", "old\n\nx", 400, ""},
		{"a size with a sign", "old +20\n\nx", 400, ""},
		{"hashes that are none", "old 20\nAAAA\n\nx", 400, ""},
		{"too many hashes", "old 20\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64) + "\nx", 400, ""},
		{"too large", mine.ask(t, key, 20, 30) + strings.Repeat("x", 64<<10), 400, ""},
		{"nothing", "", 400, ""},
		{"still good", mine.ask(t, key, 20, 40), 200, ""},
	} {
		answer := post(t, w, step.body)
		if answer.Code != step.status {
			t.Errorf("%s: status %d, want %d: %s", step.name, answer.Code, step.status, answer.Body)
		}
		if cosigned := strings.HasPrefix(answer.Body.String(), "— "); cosigned != (step.status == 200) {
			t.Errorf("%s: answered with %q", step.name, answer.Body)
		}
		if isSize := answer.Header().Get("Content-Type") == "text/x.tlog.size"; isSize != (step.size != "") || isSize && answer.Body.String() != step.size {
			t.Errorf("%s: answered with %q (%s), want the size %q", step.name, answer.Body, answer.Header().Get("Content-Type"), step.size)
		}
	}
}

// What was cosigned is known to the next process with the key.
func TestWitnessRemembers(t *testing.T) {
	key := newKey(t)
	config := witness.Config{KeyFile: filepath.Join(t.TempDir(), "key"), Name: "w.example.org", Logs: []string{key.String()}}
	mine, fork := newHashes(t, 20, "mine"), newHashes(t, 20, "another history")
	w := open(t, config)
	if answer := post(t, w, mine.ask(t, key, 0, 10)); answer.Code != 200 {
		t.Fatal(answer)
	}
	if _, err := witness.Open(config); !errors.Is(err, witness.ErrLocked) {
		t.Errorf("a second process with the key: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, config)
	if again.Key() != w.Key() {
		t.Errorf("the key was %s, is %s", w.Key(), again.Key())
	}
	if answer := post(t, again, fork.ask(t, key, 0, 20)); answer.Code != 409 {
		t.Errorf("a fork after a restart: %d %s", answer.Code, answer.Body)
	}
	if answer := post(t, again, mine.ask(t, key, 10, 20)); answer.Code != 200 {
		t.Errorf("after a restart: %d %s", answer.Code, answer.Body)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	// The key is gone, what it cosigned is not: no key may take its place.
	if err := os.Remove(config.KeyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.Open(config); err == nil {
		t.Error("a new key was made in the old one's place")
	}
}

// A witness that cannot keep what it saw does not cosign it.
func TestWitnessIsDurableFirst(t *testing.T) {
	key := newKey(t)
	config := witness.Config{KeyFile: filepath.Join(t.TempDir(), "key"), Name: "w.example.org", Logs: []string{key.String()}}
	w := open(t, config)
	mine := newHashes(t, 20, "mine")
	if err := os.Rename(config.KeyFile+".logs", config.KeyFile+".away"); err != nil {
		t.Fatal(err)
	}
	if answer := post(t, w, mine.ask(t, key, 0, 10)); answer.Code != 500 || strings.Contains(answer.Body.String(), "— ") {
		t.Errorf("without a disk: %d %s", answer.Code, answer.Body)
	}
	if err := os.Rename(config.KeyFile+".away", config.KeyFile+".logs"); err != nil {
		t.Fatal(err)
	}
	if answer := post(t, w, mine.ask(t, key, 0, 5)); answer.Code != 200 {
		t.Errorf("with one: %d %s", answer.Code, answer.Body)
	}
}
