package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/state"
	"repronet.dev/internal/redirects"
	"repronet.dev/internal/version"
)

const (
	// webhookTimeout bounds one notice.
	webhookTimeout = 20 * time.Second
	// webhookRest is the least time between two notices: strangers make them.
	webhookRest = 10 * time.Minute
	// factTold is under which name the state has when the newest request was received that
	// was told of.
	factTold = "webhook told of requests until"
)

// A notice is what is posted to the webhook: that requests wait, and nothing that who asked
// said of themselves. Many chats show the member text.
type notice struct {
	Text    string    `json:"text"`
	Pending int       `json:"pending"`
	Newest  time.Time `json:"newest"`
}

// webhook tells an operator by a POST that requests to be enrolled wait.
type webhook struct {
	address, server string // server is the aggregator's own address, "" if it is not known
	state           *state.State
	client          *http.Client
	last            time.Time // of the last notice
}

func newWebhook(address, server string, s *state.State) *webhook {
	return &webhook{address: address, server: server, state: s, client: &http.Client{
		Timeout:       webhookTimeout,
		CheckRedirect: redirects.None,
	}}
}

// run tells of requests that came since it last did. What was told of is in the state, so
// that a start tells nothing twice; what could not be told is told in the next run.
func (w *webhook) run(ctx context.Context) error {
	now := time.Now()
	if now.Sub(w.last) < webhookRest {
		return nil
	}
	pending, newest, err := w.state.Newest(ctx, now)
	if err != nil || pending == 0 {
		return err
	}
	fact, err := w.state.Fact(ctx, factTold)
	if err != nil {
		return err
	}
	if told, err := strconv.ParseInt(fact, 10, 64); err == nil && newest.Unix() <= told {
		return nil
	}
	if err := w.post(ctx, pending, newest); err != nil {
		return err
	}
	w.last = now
	return w.state.KeepFact(ctx, factTold, strconv.FormatInt(newest.Unix(), 10))
}

func (w *webhook) post(ctx context.Context, pending int, newest time.Time) error {
	text := fmt.Sprintf("%d requests to be enrolled wait: 'repronet-aggregator builders pending' lists them.", pending)
	if pending == 1 {
		text = "One request to be enrolled waits: 'repronet-aggregator builders pending' shows it."
	}
	if w.server != "" {
		text = w.server + ": " + text
	}
	body, err := json.Marshal(notice{text, pending, newest})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", version.UserAgent())
	response, err := w.client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the address, which may have a secret in it
	}
	if err != nil {
		return fmt.Errorf("telling the webhook that requests wait: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("telling the webhook that requests wait: it answered %d", response.StatusCode)
	}
	return nil
}
