package gate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"repronet.dev/attestation"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

var narPattern = regexp.MustCompile(`^(` + nix32 + `{32})-(` + nix32 + `{52})\.nar(?:\.[a-z0-9]+)?$`)

// nar answers for what a narinfo that went through this gate named.
func (g *Gate) nar(w http.ResponseWriter, r *http.Request) {
	name := narPattern.FindStringSubmatch(r.PathValue("file"))
	if name == nil {
		http.Error(w, "no narinfo of this gate names such a NAR", http.StatusNotFound)
		return
	}
	o, err := g.upstream.offer(r.Context(), name[1])
	if err != nil {
		g.failed(w, r, err)
		return
	}
	if nixbase32.EncodeToString(o.NarHash[:]) != name[2] {
		g.refuse(w, r, o, swapped("the cache now offers another NAR than the one that was asked for"))
		return
	}
	if !g.judge(w, r, o, false) {
		return
	}
	w.Header().Set("Content-Type", "application/x-nix-nar")
	if r.Method == http.MethodHead {
		return
	}
	select {
	case g.streams <- struct{}{}:
		defer func() { <-g.streams }()
	case <-r.Context().Done():
		return
	}
	g.stream(w, r, o)
}

func swapped(reason string) policy.Decision {
	return policy.Decision{Action: policy.Refuse, Finding: verify.Mismatch, Reasons: []string{reason}}
}

// rate is the slowest that a NAR may come or be taken, in bytes a second.
const rate = 64 << 10

// stream passes a NAR on. If it turns out wrong after the answer has begun, the
// connection is broken off, which Nix cannot take for the end.
func (g *Gate) stream(w http.ResponseWriter, r *http.Request, o *offer) {
	allowed := g.config.Timeout + time.Duration(o.limit()/rate)*time.Second
	ctx, cancel := context.WithTimeout(r.Context(), allowed)
	defer cancel()
	// A little later, so that there is time to say what went wrong.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(allowed + 10*time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		g.failed(w, r, err)
		return
	}
	response, err := g.upstream.open(ctx, o.url)
	if err != nil {
		g.failed(w, r, err)
		return
	}
	defer response.Body.Close()
	encoding := response.Header.Get("Content-Encoding")
	body, done, err := decode(encoding, response.Body)
	if err != nil {
		g.failed(w, r, err)
		return
	}
	defer done()
	if n := response.ContentLength; n >= 0 && !encoded(encoding) {
		if o.fileSize >= 0 && n != o.fileSize {
			g.refuse(w, r, o, swapped(fmt.Sprintf("the NAR has %d bytes, the narinfo says %d", n, o.fileSize)))
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	out := &withholder{w: w}
	err = o.check(body, out)
	switch wrong, ok := errors.AsType[*wrongError](err); {
	case err == nil:
		_, _ = out.release() // the client's loss
	case !out.begun && ok:
		w.Header().Del("Content-Length")
		g.refuse(w, r, o, swapped(wrong.Error()))
	case ok:
		g.record(r, o, swapped(wrong.Error()))
		panic(http.ErrAbortHandler)
	case !out.begun:
		w.Header().Del("Content-Length")
		g.failed(w, r, err)
	default:
		g.log.Warn("a NAR broke off", "path", o.StorePath, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// limit is the most bytes that the compressed NAR can have.
func (o *offer) limit() int64 {
	if o.fileSize >= 0 {
		return o.fileSize
	}
	return int64(o.NarSize+o.NarSize/8) + 64<<10
}

// A wrongError says that a NAR is not the one that was accepted.
type wrongError struct{ what string }

func (e *wrongError) Error() string { return e.what }

// check copies a compressed NAR, and returns nil if it is the one offered.
func (o *offer) check(from io.Reader, to io.Writer) error {
	fileHash, narHash := sha256.New(), sha256.New()
	source := &source{from: from, limit: o.limit()}
	compressed := io.TeeReader(source, io.MultiWriter(fileHash, to))
	plain, closeDecoder, err := decompress(o.compression, compressed)
	if err != nil {
		return o.unreadable(source, compressed, fileHash, err)
	}
	defer closeDecoder()
	n, err := io.CopyBuffer(narHash, io.LimitReader(plain, int64(o.NarSize)+1), make([]byte, 256<<10))
	if err != nil {
		return o.unreadable(source, compressed, fileHash, err)
	}
	if n != int64(o.NarSize) || attestation.Digest(narHash.Sum(nil)) != o.NarHash {
		return &wrongError{fmt.Sprintf("the cache sent another NAR than the accepted one: of %d bytes and sha256:%x", n, narHash.Sum(nil))}
	}
	if _, err := io.Copy(io.Discard, compressed); err != nil { // what a decoder leaves
		return source.blame(err)
	}
	if !o.names(source.n, fileHash) {
		return &wrongError{notNamed}
	}
	return nil
}

const notNamed = "the compressed NAR is not the one that the narinfo names"

// names reports whether the narinfo's FileSize and FileHash, where it has them, are
// these.
func (o *offer) names(size int64, fileHash hash.Hash) bool {
	return (o.fileSize < 0 || size == o.fileSize) && (o.fileHash == nil || bytes.Equal(fileHash.Sum(nil), o.fileHash[:]))
}

// source reads at most limit bytes from upstream.
type source struct {
	from     io.Reader
	n, limit int64
	err      error // of upstream's connection
}

var errTooLong = errors.New("longer than it can be")

func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if s.n += int64(n); s.n > s.limit {
		return 0, errTooLong
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// blame tells a NAR that is too long from one that did not arrive.
func (s *source) blame(err error) error {
	if s.err == nil && errors.Is(err, errTooLong) {
		return &wrongError{"the cache sent more than the narinfo says"}
	}
	return cmp.Or(s.err, err)
}

// unreadable tells why a NAR cannot be unpacked: it did not arrive, it is not the
// file that the narinfo names, or neither can be said and the decoder is at a loss,
// which is no reason to accuse a cache.
func (o *offer) unreadable(s *source, rest io.Reader, fileHash hash.Hash, err error) error {
	if _, read := io.Copy(io.Discard, rest); read != nil {
		return s.blame(read)
	}
	if !o.names(s.n, fileHash) {
		return &wrongError{notNamed}
	}
	return fmt.Errorf("what it sent cannot be unpacked as %s: %w", o.compression, err)
}

// withholder passes on all but the end of what is written to it.
type withholder struct {
	w     io.Writer
	held  []byte
	begun bool // something was passed on
}

// withheld is how much is held back, in bytes.
const withheld = 64 << 10

func (h *withholder) Write(p []byte) (int, error) {
	h.held = append(h.held, p...)
	if over := len(h.held) - withheld; over > 0 {
		h.begun = true
		if _, err := h.w.Write(h.held[:over]); err != nil {
			return 0, err
		}
		h.held = append(h.held[:0], h.held[over:]...)
	}
	return len(p), nil
}

// release passes the end on.
func (h *withholder) release() (int, error) {
	h.begun = true
	return h.w.Write(h.held)
}
