package gate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/nix-community/go-nix/pkg/nixbase32"
)

func compress(t *testing.T, with string, nar []byte) []byte {
	t.Helper()
	if with == "none" {
		return nar
	}
	command := exec.CommandContext(t.Context(), with, "-c")
	switch with {
	case "br":
		command = exec.CommandContext(t.Context(), "brotli", "-c")
	case "lzma":
		command = exec.CommandContext(t.Context(), "xz", "--format=lzma", "-c")
	}
	command.Stdin = bytes.NewReader(nar)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", with, err)
	}
	return out
}

// TestCompressions: each that Nix knows arrives, also as several streams one after
// the other, where its tool writes such; a swapped NAR does not.
func TestCompressions(t *testing.T) {
	nar := append(content(100<<10), make([]byte, 300<<10)...) // LZMA is slow where races are looked for
	for compression := range compressions {
		t.Run(compression, func(t *testing.T) {
			w := newWorld(t)
			compressed := compress(t, compression, nar)
			if compression != "br" && compression != "lzma" { // which have no second stream
				compressed = append(compress(t, compression, nar[:1000]), compress(t, compression, nar[1000:])...)
			}
			w.agreed(nar, compression, compressed)
			if response, got, err := w.get(narURL(nar)); err != nil || !bytes.Equal(got, compressed) {
				t.Errorf("%s, %d bytes of %d, %v", response.Status, len(got), len(compressed), err)
			}
			swapped := bytes.Clone(nar)
			swapped[len(nar)-1] ^= 1
			w.cache["nar/x.nar"] = serve(compress(t, compression, swapped))
			w.withheld(narURL(nar), len(compressed))
		})
	}
}

// withheld checks that a NAR does not arrive as a whole.
func (w *world) withheld(file string, size int) {
	w.t.Helper()
	response, got, err := w.get(file)
	if response.StatusCode == http.StatusOK && (err == nil || len(got) >= size) {
		w.t.Errorf("%s, %d bytes of %d arrived, and then: %v", response.Status, len(got), size, err)
	}
	refused := response.Header.Get("Repronet-Refused")
	if response.StatusCode == http.StatusNotFound && refused != "mismatch" && refused != "unavailable" {
		w.t.Errorf("%s with %q", response.Status, refused)
	}
}

// TestSwappedNAR: whatever the cache sends in the place of what was accepted, it
// does not arrive as a whole.
func TestSwappedNAR(t *testing.T) {
	for _, size := range []int{1000, 300 << 10} {
		nar := content(size)
		changed := bytes.Clone(nar)
		changed[0] ^= 1
		zeros := compress(t, "zstd", make([]byte, 64<<20))
		for name, attack := range map[string]func(w *world){
			"another of the same size": func(w *world) { w.cache["nar/x.nar"] = serve(changed) },
			"shorter":                  func(w *world) { w.cache["nar/x.nar"] = serve(nar[:len(nar)-1]) },
			"longer":                   func(w *world) { w.cache["nar/x.nar"] = serve(append(bytes.Clone(nar), 0)) },
			"nothing":                  func(w *world) { w.cache["nar/x.nar"] = serve(nil) },
			"chunked and another": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					_, _ = rw.Write(changed[:10])
					_ = http.NewResponseController(rw).Flush()
					_, _ = rw.Write(changed[10:])
				}
			},
			"chunked and endless": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					for r.Context().Err() == nil {
						if _, err := rw.Write(nar); err != nil {
							return
						}
					}
				}
			},
			"broken off": func(w *world) {
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Length", fmt.Sprint(len(nar)))
					_, _ = rw.Write(nar[:len(nar)/2])
				}
			},
			"another narinfo": func(w *world) { w.offer(changed, "none", changed) },
			"the same narinfo with another FileHash": func(w *world) {
				text := narinfoOf(nar, "none", changed)
				w.cache[pathHash+".narinfo"] = serve([]byte(text))
			},
			"another, with its FileHash": func(w *world) {
				old, sum := sha256.Sum256(nar), sha256.Sum256(changed)
				text := strings.Replace(narinfoOf(changed, "none", changed), "NarHash: sha256:"+nixbase32.EncodeToString(sum[:]), "NarHash: sha256:"+nixbase32.EncodeToString(old[:]), 1)
				w.cache[pathHash+".narinfo"] = serve([]byte(text))
				w.cache["nar/x.nar"] = serve(changed)
			},
			"a bomb": func(w *world) {
				w.cache[pathHash+".narinfo"] = serve([]byte(narinfoOf(nar, "zstd", zeros)))
				w.cache["nar/x.nar"] = serve(zeros)
			},
			"padded endlessly": func(w *world) { // which is allowed behind xz
				packed := compress(t, "xz", nar)
				w.cache[pathHash+".narinfo"] = serve([]byte(narinfoOf(nar, "xz", packed)))
				w.cache["nar/x.nar"] = func(rw http.ResponseWriter, r *http.Request) {
					_, err := rw.Write(packed)
					for err == nil && r.Context().Err() == nil {
						_, err = rw.Write(make([]byte, 32<<10))
					}
				}
			},
			"garbage for xz": func(w *world) {
				w.cache[pathHash+".narinfo"] = serve([]byte(narinfoOf(nar, "xz", nar)))
			},
		} {
			t.Run(fmt.Sprintf("%d/%s", size, name), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.agreed(nar, "none", nar)
				w.want("", "")
				attack(w)
				w.withheld(narURL(nar), size)
			})
		}
	}
}

// TestDictionary: a file cannot make the gate allocate what it likes.
func TestDictionary(t *testing.T) {
	nar := content(1000)
	command := exec.CommandContext(t.Context(), "xz", "--lzma2=dict=1GiB", "-c")
	command.Stdin = bytes.NewReader(nar)
	compressed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.agreed(nar, "xz", compressed)
	if response, body, _ := w.get(narURL(nar)); response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), "dictionary") {
		t.Errorf("%s: %s", response.Status, body)
	}
}
