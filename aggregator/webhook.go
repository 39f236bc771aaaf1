package aggregator

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/aggregator/notify"
	"repronet.dev/aggregator/state"
)

const (
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
	poster          *notify.Poster
	last            time.Time // of the last notice
}

func newWebhook(address, server string, s *state.State) *webhook {
	return &webhook{address: address, server: server, state: s, poster: notify.NewPoster(true)} // the operator says where
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
	if err := w.poster.Post(ctx, w.address, nil, body); err != nil {
		return fmt.Errorf("telling the webhook that requests wait: %w", err)
	}
	return nil
}
