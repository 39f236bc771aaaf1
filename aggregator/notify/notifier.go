package notify

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/state"
)

// Source is the index, as far as it is needed.
type Source interface {
	// Turns yields the changes by the ledger entries from ≤ index < to, in ledger order.
	Turns(ctx context.Context, from, to uint64) iter.Seq2[*query.Turn, error]
}

// Config says how subscribers are told. Its zero value tells webhooks on public addresses,
// and sends no mail.
type Config struct {
	// URL is the aggregator's address, to which links lead; no mail is sent without one.
	URL string
	// Mail is how mail is sent; nil: not at all.
	Mail *Mail
	// AllowPrivate lets webhooks be on private networks.
	AllowPrivate bool
	// Digest is when digests are made, as robfig/cron reads it, in UTC; empty: at six.
	Digest string
	// Size is the number of ledger entries: a new subscription begins there.
	Size func() uint64
	// HasSet reports whether a package set was published.
	HasSet func(ctx context.Context, name string) (bool, error)
	Logger *slog.Logger
	// Registry takes the metrics; nil: nobody does.
	Registry prometheus.Registerer
}

// A Notifier keeps subscriptions and tells those behind them. Its zero value does not work;
// use [New].
type Notifier struct {
	config  Config
	state   *state.State
	hooks   *Poster
	sent    *prometheus.CounterVec
	looked  map[string]uint64 // by subscription: up to which entry nothing is to be told. [Notifier.Look] alone uses it
	mu      sync.Mutex        // guards sending
	sending map[string]bool   // subscriptions to which a message is being sent
}

// DefaultDigest is when digests are made.
const DefaultDigest = "0 6 * * *"

// New returns a Notifier.
func New(config Config, s *state.State) *Notifier {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Digest == "" {
		config.Digest = DefaultDigest
	}
	config.URL = strings.TrimSuffix(config.URL, "/")
	n := &Notifier{
		config: config, state: s, hooks: NewPoster(config.AllowPrivate), looked: map[string]uint64{}, sending: map[string]bool{},
		sent: newCounter(),
	}
	if config.Registry != nil {
		config.Registry.MustRegister(n.sent, &waiting{n})
	}
	return n
}

// newID returns a name that nothing else has, of letters and digits.
func newID() string {
	var id [10]byte
	_, _ = rand.Read(id[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(id[:]))
}

// now is the time as the state keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
