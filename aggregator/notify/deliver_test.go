package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
)

// A hook is a webhook's target.
type hook struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	status int
	got    []received
}

type received struct {
	id, body string
}

// verified checks a request as Standard Webhooks says.
func verified(t *testing.T, secret string, r *http.Request) received {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("secret %q: %v", secret, err)
	}
	id, timestamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	if got, want := r.Header.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if at := time.Unix(seconds, 0); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("timestamp %q", timestamp)
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s of %s", r.Method, r.Header.Get("Content-Type"))
	}
	return received{id, string(body)}
}

// newHook answers with a status.
func newHook(t *testing.T, secret *string) *hook {
	t.Helper()
	h := &hook{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, verified(t, *secret, r))
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *hook) received() []received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// TestSigned: the signature is the one of Standard Webhooks' own example
// (https://github.com/standard-webhooks/standard-webhooks, the tests of its libraries).
func TestSigned(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	header := signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := header.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// TestRetries: what is not taken is sent again in the same words under the same ID, ever more
// rarely; after a day the subscription is failing, until it is taken.
func TestRetries(t *testing.T) {
	w := newWorld(t, Config{AllowPrivate: true})
	var secret string
	h := newHook(t, &secret)
	of := w.subscribe(admin.Wanted{Webhook: h.URL + "/hook?key=secret"})
	secret = of.Secret
	w.change(api.ChangeDiverged)
	w.look()
	h.answer(http.StatusTemporaryRedirect) // which is not followed
	var last time.Duration
	for attempt := 1; attempt <= len(pauses())+2; attempt++ {
		s := w.attempt(of.ID)
		pause := s.NextAttempt.Sub(now())
		if s.Attempts != attempt || s.Failure != "it answered 307" || pause+pause/9 < last || pause > 11*time.Hour+time.Minute {
			t.Errorf("attempt %d: %+v", attempt, s)
		}
		last = pause
		if want := attempt > len(pauses()); isFailing(s) != want || (w.LookAfter(t.Context()) != nil) != want {
			t.Errorf("failing after %d attempts: %v, %v", attempt, isFailing(s), w.LookAfter(t.Context()))
		}
	}
	if list, err := w.Subscriptions(t.Context()); err != nil || list[0].State != "failing" || strings.Contains(list[0].Failure, "secret") {
		t.Errorf("%+v, %v", list, err)
	}
	if due, err := w.state.Due(t.Context(), now()); err != nil || len(due) != 0 {
		t.Errorf("due %v, %v", due, err)
	}
	h.answer(http.StatusNoContent)
	s := w.attempt(of.ID)
	if s.Message != "" || s.Attempts != 0 || !s.FailedSince.IsZero() || s.Told != 1 || isFailing(s) || w.LookAfter(t.Context()) != nil {
		t.Errorf("after the delivery: %+v", s)
	}
	got := h.received()
	for _, r := range got {
		if r != got[0] {
			t.Errorf("another attempt had %v, the first %v", r, got[0])
		}
	}
	if len(got) != len(pauses())+3 || !strings.Contains(got[0].body, `"type":"repronet.changes"`) || !strings.HasPrefix(got[0].id, "msg_") {
		t.Errorf("%d attempts, the first %v", len(got), got[0])
	}
}

// TestDeadTargets: targets that take a connection and never answer hold up nobody else, and
// a server that stops waits for no target.
func TestDeadTargets(t *testing.T) {
	w := newWorld(t, Config{AllowPrivate: true})
	over := make(chan struct{})
	var dead atomic.Int32
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		dead.Add(1)
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(over)
	for range 3 * deliverPlaces { // of which all but one place was tried before
		of := w.subscribe(admin.Wanted{Webhook: silent.URL})
		w.size = 0
		_ = of
	}
	w.change(api.ChangeDiverged)
	w.look()
	all, err := w.state.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range all[1:] {
		if err := w.state.Failed(t.Context(), all[i+1].ID, all[i+1].Message, "it was silent", now().Add(-time.Hour), now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	var secret string
	h := newHook(t, &secret)
	of := w.subscribe(admin.Wanted{Webhook: h.URL})
	secret = of.Secret
	w.change(api.ChangeDiverged)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	began := time.Now()
	go func() { w.Run(ctx); close(ended) }()
	for dead.Load() < deliverPlaces+1 {
		time.Sleep(10 * time.Millisecond)
	}
	w.look()
	for len(h.received()) == 0 {
		if time.Since(began) > 30*time.Second {
			t.Fatal("one that is alive was not told")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took > postTime {
		t.Errorf("one that is alive was told after %v", took)
	}
	if n := dead.Load(); n > deliverPlaces+1 {
		t.Errorf("%d requests at once to those that were silent before", n)
	}
	stop()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for targets")
	}
	for i := range all {
		if s := w.subscription(all[i].ID); s.Attempts != min(i, 1) || s.Message == "" {
			t.Errorf("a stop changed what is noted of a target: %+v", s)
		}
	}
}

// TestTest: an operator finds out at once whether a target takes anything.
func TestTest(t *testing.T) {
	w := newWorld(t, Config{AllowPrivate: true})
	var secret string
	h := newHook(t, &secret)
	of := w.subscribe(admin.Wanted{Webhook: h.URL})
	secret = of.Secret
	if tested, err := w.Test(t.Context(), of.ID[:5]); err != nil || tested.Asked || len(h.received()) != 1 || !strings.Contains(h.received()[0].body, "repronet.test") {
		t.Errorf("%+v, %v, %v", tested, err, h.received())
	}
	h.answer(http.StatusTeapot)
	if _, err := w.Test(t.Context(), of.ID); err == nil || !strings.HasSuffix(err.Error(), "cannot be told anything: it answered 418") {
		t.Errorf("a target that refuses: %v", err)
	}
	if s := w.subscription(of.ID); s.Attempts != 0 {
		t.Errorf("a test was taken for a delivery: %+v", s)
	}
	if _, err := w.Test(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), "'subscriptions list' lists them") {
		t.Errorf("a test of none: %v", err)
	}
}
