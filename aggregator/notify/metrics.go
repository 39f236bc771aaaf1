package notify

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/state"
)

// countTime bounds what a scrape asks the state for.
const countTime = 5 * time.Second

var (
	subscriptionsDesc = prometheus.NewDesc("repronet_subscriptions", "Subscriptions to changes, by where they go, and whether they are active, unconfirmed or failing.", []string{"to", "state"}, nil)
	pendingDesc       = prometheus.NewDesc("repronet_notices_pending", "Messages to subscribers that are not delivered yet.", nil, nil)
	oldestDesc        = prometheus.NewDesc("repronet_notices_oldest_seconds", "For how long the message that waits longest has failed to be delivered; 0: none has.", nil, nil)
)

func newCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "repronet_notices_total", Help: "Attempts to tell a subscriber, by where they go, and whether they were delivered or failed.",
	}, []string{"to", "result"})
}

// way is where a subscription goes, for a metric.
func way(of *state.Subscription) string {
	if of.Webhook != "" {
		return "webhook"
	}
	return "mail"
}

func (n *Notifier) count(of *state.Subscription, result string) {
	n.sent.WithLabelValues(way(of), result).Inc()
}

// standing says how it is with a subscription.
func standing(of *state.Subscription) string {
	switch {
	case isFailing(of):
		return "failing"
	case of.Confirmed.IsZero():
		return "unconfirmed"
	}
	return "active"
}

// waiting is a collector of what subscribers wait for.
type waiting struct{ *Notifier }

// Describe implements [prometheus.Collector].
func (w *waiting) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{subscriptionsDesc, pendingDesc, oldestDesc} {
		descriptions <- d
	}
}

// Collect implements [prometheus.Collector].
func (w *waiting) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTime) // a collector is given none
	defer cancel()
	all, err := w.state.Subscriptions(ctx)
	if err != nil {
		w.config.Logger.Warn("counting the subscriptions", "error", err)
		return
	}
	pending, oldest := 0, time.Duration(0)
	counts := map[[2]string]int{}
	for i := range all {
		counts[[2]string{way(&all[i]), standing(&all[i])}]++
		if all[i].Message != "" {
			pending++
		}
		if since := all[i].FailedSince; !since.IsZero() {
			oldest = max(oldest, time.Since(since))
		}
	}
	metrics <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(pending))
	metrics <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, oldest.Seconds())
	for _, to := range []string{"webhook", "mail"} {
		for _, is := range []string{"active", "unconfirmed", "failing"} {
			metrics <- prometheus.MustNewConstMetric(subscriptionsDesc, prometheus.GaugeValue, float64(counts[[2]string{to, is}]), to, is)
		}
	}
}
