package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"repronet/attestation"
	"repronet/enrolment"
	"repronet/internal/wire"
	"repronet/signing"
)

// ErrNoServer is returned by [Dial] when nobody listens on the socket.
var ErrNoServer = errors.New("no server is running")

// Dial returns the service of the server that listens on the socket.
func Dial(ctx context.Context, socket string) (Service, error) {
	dialer := &net.Dialer{}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, fmt.Errorf("reaching the server: %w", err)
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &client{&http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

type client struct{ http *http.Client }

func (c *client) Attach(ctx context.Context, content io.Reader) (attestation.Digest, error) {
	var a attached
	err := c.call(ctx, "/attach", content, &a)
	return a.SHA256, err
}

func (c *client) Enrol(ctx context.Context, e *enrolment.Enrolment) (uint64, error) {
	var a answer
	err := c.document(ctx, "/enrol", e, &a)
	return a.Index, err
}

func (c *client) Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (uint64, error) {
	var a answer
	err := c.document(ctx, "/revoke", revocation{string(builder), from, reason}, &a)
	return a.Index, err
}

func (c *client) Erase(ctx context.Context, attachment attestation.Digest, reason string) (uint64, error) {
	var a answer
	err := c.document(ctx, "/erase", erasure{attachment, reason}, &a)
	return a.Index, err
}

func (c *client) Builders(ctx context.Context) ([]wire.Builder, error) {
	var builders []wire.Builder
	err := c.call(ctx, "/builders", http.NoBody, &builders)
	return builders, err
}

func (c *client) PublishSet(ctx context.Context, set Set, list io.Reader) (Published, error) {
	var p Published
	query := url.Values{"revision": {set.Revision}, "ecosystem": {set.Ecosystem}}
	err := c.call(ctx, "/sets/"+url.PathEscape(set.Name)+"?"+query.Encode(), list, &p)
	return p, err
}

func (c *client) Reindex(ctx context.Context, progress io.Writer) error {
	response, err := c.post(ctx, "/reindex", http.NoBody)
	if err != nil {
		return err
	}
	_, err = io.Copy(progress, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("the server broke off: %w", err)
	}
	if quoted := response.Trailer.Get(errorTrailer); quoted != "" {
		text, err := strconv.Unquote(quoted)
		if err != nil {
			text = quoted
		}
		return errors.New(text)
	}
	return nil
}

func (c *client) document(ctx context.Context, path string, document, result any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return c.call(ctx, path, bytes.NewReader(body), result)
}

func (c *client) call(ctx context.Context, path string, body io.Reader, result any) (err error) {
	response, err := c.post(ctx, path, body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(result); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}

// post returns an answer with status 200, or the server's error.
func (c *client) post(ctx context.Context, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	return nil, errors.Join(errors.New(strings.TrimSpace(string(text))), err, response.Body.Close())
}
