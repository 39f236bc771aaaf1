package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"repronet.dev/internal/redirects"
	"repronet.dev/internal/version"
)

// Bounds of a request to a webhook.
const (
	postTime      = 15 * time.Second // for all of it
	connectTime   = 5 * time.Second
	answerHeaders = 16 << 10 // bytes; the body is not read
)

// A Poster posts JSON to webhooks. It follows no redirect, goes through no proxy, and reads
// nothing of an answer but its status.
type Poster struct{ client *http.Client }

// NewPoster returns a Poster; without private, it connects to public addresses only.
func NewPoster(private bool) *Poster {
	dialer := &net.Dialer{Timeout: connectTime}
	if !private {
		dialer.Control = refusePrivate
	}
	return newPoster(dialer)
}

func newPoster(dialer *net.Dialer) *Poster {
	return &Poster{&http.Client{
		Timeout:       postTime,
		CheckRedirect: redirects.None,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: connectTime, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: answerHeaders, DisableKeepAlives: true,
		},
	}}
}

// Post posts a body. An error says why it was not taken, without the address, which may have
// a secret in it.
func (p *Poster) Post(ctx context.Context, address string, header http.Header, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("its address is none")
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", version.UserAgent())
	response, err := p.client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("it answered %d", response.StatusCode)
	}
	return nil
}
