package gate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/internal/redirects"
)

// upstream is the cache behind the gate. Nothing that it says is believed.
type upstream struct {
	base    *url.URL
	client  *http.Client
	timeout time.Duration
}

// newUpstream makes the client of a cache, at http:, https: or, of a directory on
// this machine, file:.
func newUpstream(base *url.URL, timeout time.Duration) *upstream {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    maxStreams,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // the bytes as they are: see decode
	}
	if base.Scheme == "file" {
		transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/"))) //nolint:gosec // the user named the directory, and NARs are asked for below it
	}
	return &upstream{base: base, timeout: timeout, client: &http.Client{Transport: transport, CheckRedirect: redirects.StayOnHost}}
}

// same reports whether an address is on upstream's host.
func (u *upstream) same(at *url.URL) bool {
	return at.Scheme == u.base.Scheme && at.Host == u.base.Host
}

// errNotFound: upstream does not have it.
var errNotFound = errors.New("it has no such file")

// open asks upstream for a file. The caller closes the body.
func (u *upstream) open(ctx context.Context, file *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, file.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return nil, err
	}
	switch response.StatusCode {
	case http.StatusOK:
		return response, nil
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone: // S3 forbids what is not there
		err = errNotFound
	default:
		err = fmt.Errorf("it answered %s", response.Status)
	}
	return nil, errors.Join(err, response.Body.Close())
}

// get fetches a small file.
func (u *upstream) get(ctx context.Context, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	response, err := u.open(ctx, u.base.JoinPath(name))
	if err != nil {
		return nil, err
	}
	text, err := readDecoded(response, limit+1)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return text, nil
}

// readDecoded reads at most limit bytes of an answer, after its Content-Encoding.
func readDecoded(response *http.Response, limit int64) ([]byte, error) {
	plain, done, err := decode(response.Header.Get("Content-Encoding"), response.Body)
	if err != nil {
		return nil, err
	}
	defer done()
	return io.ReadAll(io.LimitReader(plain, limit))
}

// An offer is what upstream says of a store path.
type offer struct {
	*narinfo.Info
	text        []byte
	url         *url.URL // of the NAR
	compression string
	fileHash    *attestation.Digest // of the compressed NAR; nil: not said
	fileSize    int64               // -1: not said
}

// maxNarSize bounds a NAR, in bytes.
const maxNarSize = 64 << 30

// offer fetches and reads the narinfo of a store path's hash.
func (u *upstream) offer(ctx context.Context, hash string) (*offer, error) {
	text, err := u.get(ctx, hash+".narinfo", narinfo.MaxSize)
	if err != nil {
		return nil, err
	}
	o, err := u.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s.narinfo: %w", hash, err)
	}
	if o.hash() != hash {
		return nil, fmt.Errorf("%s.narinfo is that of %s", hash, o.StorePath)
	}
	return o, nil
}

// parse reads a narinfo. narinfo.Parse has seen that no field occurs twice.
func (u *upstream) parse(text []byte) (*offer, error) {
	info, err := narinfo.Parse(text)
	if err != nil {
		return nil, err
	}
	if info.NarSize > maxNarSize {
		return nil, fmt.Errorf("a NAR of %d bytes is larger than %d", info.NarSize, int64(maxNarSize))
	}
	o := &offer{Info: info, text: text, compression: "bzip2", fileSize: -1} // as Nix has it
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		var err error
		switch name {
		case "URL":
			o.url, err = u.resolve(value)
		case "Compression":
			o.compression = cmp.Or(value, o.compression)
		case "FileHash":
			var hash attestation.Digest
			hash, err = narinfo.ParseHash(value)
			o.fileHash = &hash
		case "FileSize":
			o.fileSize, err = strconv.ParseInt(value, 10, 63)
			if o.fileSize < 0 {
				err = errors.New("less than nothing")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if o.url == nil {
		return nil, errors.New("it has no URL")
	}
	if _, ok := compressions[o.compression]; !ok {
		return nil, fmt.Errorf("compression %.40q is not known to this gate", o.compression)
	}
	return o, nil
}

// resolve returns the address of a NAR: below upstream, as Nix takes what is not
// written as a whole address, or anywhere on upstream's host.
func (u *upstream) resolve(value string) (*url.URL, error) {
	file, err := url.Parse(value)
	switch {
	case err != nil || file.Path == "" || file.User != nil || slices.Contains(strings.Split(file.Path, "/"), ".."):
		return nil, fmt.Errorf("%.200q is not the address of a file", value)
	case file.Scheme != "" || file.Host != "":
		if !u.same(file) {
			return nil, fmt.Errorf("%.200q is not on the cache's host", value)
		}
		return file, nil
	}
	at := u.base.JoinPath(file.Path)
	at.RawQuery = file.RawQuery
	return at, nil
}

// rewritten returns the narinfo with the gate's own URL for the NAR.
func (o *offer) rewritten() []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(o.text) {
		if bytes.HasPrefix(line, []byte("URL: ")) {
			line = fmt.Appendf(nil, "URL: nar/%s-%s.nar%s\n", o.hash(), nixbase32.EncodeToString(o.NarHash[:]), compressions[o.compression].extension)
		}
		out.Write(line)
	}
	return out.Bytes()
}

// hash is the store path's.
func (o *offer) hash() string { return ecosystem.StoreHash(o.StorePath) }
