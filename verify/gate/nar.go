package gate

import (
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nix-community/go-nix/pkg/nixbase32"
	"github.com/therootcompany/xz"

	"repronet/attestation"
	"repronet/verify"
	"repronet/verify/policy"
)

// extensions are those of the compressions that are known, as Nix names them.
var extensions = map[string]string{"none": "", "xz": ".xz", "zstd": ".zst", "bzip2": ".bz2"}

// maxDictionary bounds what a compressed NAR can make the gate allocate: as much
// as xz -9 and zstd -19 use, in bytes.
const maxDictionary = 64 << 20

func decompress(compression string, r io.Reader) (io.Reader, func(), error) {
	switch compression {
	case "none":
		return r, func() {}, nil
	case "bzip2":
		return bzip2.NewReader(r), func() {}, nil
	case "xz":
		d, err := xz.NewReader(r, maxDictionary)
		return d, func() {}, err
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	return nil, nil, fmt.Errorf("compression %.40q is not known", compression)
}

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
	if n := response.ContentLength; n >= 0 {
		if o.fileSize >= 0 && n != o.fileSize {
			g.refuse(w, r, o, swapped(fmt.Sprintf("the NAR has %d bytes, the narinfo says %d", n, o.fileSize)))
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	out := &withholder{w: w}
	err = o.check(response.Body, out)
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
		return source.blame(err)
	}
	defer closeDecoder()
	n, err := io.CopyBuffer(narHash, io.LimitReader(plain, int64(o.NarSize)+1), make([]byte, 256<<10))
	if err != nil {
		return source.blame(err)
	}
	if n != int64(o.NarSize) || attestation.Digest(narHash.Sum(nil)) != o.NarHash {
		return &wrongError{fmt.Sprintf("the cache sent another NAR than the accepted one: of %d bytes and sha256:%x", n, narHash.Sum(nil))}
	}
	if _, err := io.Copy(io.Discard, compressed); err != nil { // what a decoder leaves
		return source.blame(err)
	}
	if o.fileSize >= 0 && source.n != o.fileSize || o.fileHash != nil && !bytes.Equal(fileHash.Sum(nil), o.fileHash[:]) {
		return &wrongError{"the compressed NAR is not the one that the narinfo names"}
	}
	return nil
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

// blame tells a NAR that is wrong from one that did not arrive.
func (s *source) blame(err error) error {
	if s.err != nil {
		return s.err
	}
	return &wrongError{fmt.Sprintf("what the cache sent cannot be unpacked: %v", err)}
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
