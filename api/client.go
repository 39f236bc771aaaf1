package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/internal/wire"
	"repronet.dev/ledger"
)

// A Client asks an aggregator. Its methods may be called from several goroutines.
type Client struct {
	HTTP *http.Client
	Base string // the aggregator's base URL, without a slash at its end
}

// Dial returns a client of the aggregator at an address: https://…, or a libp2p
// multiaddr. It does not connect: an address that is not answered shows in the first
// request. timeout bounds each request with its answer; zero means no bound.
func Dial(address string, timeout time.Duration) (*Client, error) {
	client, base, err := wire.Client(address, timeout)
	if err != nil {
		return nil, err
	}
	return &Client{client, base}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// Log fetches from the ledger's files.
func (c *Client) Log() ledger.Fetcher { return ledger.HTTP(c.HTTP, c.Base+LogPath) }

// An AnswerError is an answer that is not what was asked for.
type AnswerError struct {
	Request    string // method and URL
	Status     int
	RetryAfter time.Duration // when the aggregator asks to try again; zero where it does not
	// Problem is the aggregator's own explanation; nil where what answered gave none,
	// such as a proxy, or another server at that address.
	Problem *Problem
}

func (e *AnswerError) Error() string {
	if e.Problem != nil {
		return fmt.Sprintf("%s: the aggregator answered: %v", e.Request, e.Problem)
	}
	return fmt.Sprintf("%s: the aggregator answered %d %s", e.Request, e.Status, http.StatusText(e.Status))
}

// Unwrap gives errors.As and errors.Is the problem.
func (e *AnswerError) Unwrap() error {
	if e.Problem == nil {
		return nil
	}
	return e.Problem
}

// Is makes an answer with status 404 an [fs.ErrNotExist] for errors.Is.
func (e *AnswerError) Is(target error) bool {
	return target == fs.ErrNotExist && e.Status == http.StatusNotFound
}

// Bounds of answers, in bytes.
const (
	maxDocument = 64 << 20
	maxEntry    = 16 << 20
	maxProblem  = 64 << 10
	maxKey      = 4 << 10
)

// maxRetryAfter bounds how long an aggregator can silence a client.
const maxRetryAfter = time.Hour

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// Open sends a GET and returns the answer, whose body the caller closes. It is for
// answers that are read as they come, as exports; the error of another status than
// those that are accepted (200 where none is given) is an [AnswerError].
func (c *Client) Open(ctx context.Context, path string, query url.Values, accepted ...int) (*http.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	return c.do(request, accepted...)
}

func (c *Client) do(request *http.Request, accepted ...int) (*http.Response, error) {
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reaching the aggregator: %w", err)
	}
	if response.StatusCode == http.StatusOK || slices.Contains(accepted, response.StatusCode) {
		return response, nil
	}
	refused := &AnswerError{Request: request.Method + " " + request.URL.String(), Status: response.StatusCode, RetryAfter: retryAfter(response)}
	if MediaType(response) == problemType {
		if text, err := readAll(response.Body, maxProblem); err == nil {
			var problem Problem
			if json.Unmarshal(text, &problem) == nil {
				problem.Status = response.StatusCode
				refused.Problem = &problem
			}
		}
	}
	return nil, errors.Join(refused, response.Body.Close())
}

// MediaType is the type of an answer, without its parameters.
func MediaType(response *http.Response) string {
	media, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

func retryAfter(response *http.Response) time.Duration {
	value := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(at), maxRetryAfter))
	}
	return 0
}

// readAll reads a body of at most limit bytes.
func readAll(body io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text, nil
}

// get reads a whole answer of a media type; "" accepts any.
func (c *Client) get(ctx context.Context, path string, query url.Values, limit int64, media string) ([]byte, error) {
	response, err := c.Open(ctx, path, query)
	if err != nil {
		return nil, err
	}
	return c.whole(response, limit, media)
}

func (c *Client) whole(response *http.Response, limit int64, media string) ([]byte, error) {
	text, err := readAll(response.Body, limit)
	if got := MediaType(response); err == nil && media != "" && got != media {
		err = fmt.Errorf("it is %q, want %s: is %s an aggregator's address?", got, media, c.Base)
	}
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", response.Request.URL, err)
	}
	return text, nil
}

// document reads a JSON answer. Members that this version does not know are passed
// over, so that an aggregator may add some.
func document[T any](ctx context.Context, c *Client, path string, query url.Values, limit int64) (*T, error) {
	// All of it before it is parsed: white space in pieces takes quadratic time.
	text, err := c.get(ctx, path, query, limit, jsonType)
	if err != nil {
		return nil, err
	}
	into := new(T)
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("reading the answer of %s%s: %w", c.Base, path, err)
	}
	return into, nil
}

func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	all, err := document[[]T](ctx, c, path, query, maxDocument)
	if err != nil {
		return nil, err
	}
	return *all, nil
}

// LogKey asks for the ledger's verifier key.
func (c *Client) LogKey(ctx context.Context) (string, error) {
	text, err := c.get(ctx, LogKeyPath, nil, maxKey, "")
	if err != nil {
		return "", fmt.Errorf("fetching the log's key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
