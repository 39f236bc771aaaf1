package aggregator

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/aggregator/store"
)

// metricsTimeout bounds what a scrape asks ClickHouse for.
const metricsTimeout = 5 * time.Second

var (
	ledgerSize = prometheus.NewDesc("repronet_ledger_size", "Durable entries of the ledger.", nil, nil)
	indexed    = prometheus.NewDesc("repronet_indexed", "Entries of the ledger that the index has.", nil, nil)
	rolledUp   = prometheus.NewDesc("repronet_rolled_up", "Entries of the ledger that the newest roll-up has.", nil, nil)
	indexBytes = prometheus.NewDesc("repronet_index_bytes",
		"What a table of the index takes on disk, without the parts that were merged and are removed minutes later.", []string{"table"}, nil)
)

// sizes is a collector of how large the ledger and the index are.
type sizes struct {
	ledger func() uint64
	store  *store.Store
	logger *slog.Logger
}

// Describe implements [prometheus.Collector].
func (s *sizes) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ledgerSize, indexed, rolledUp, indexBytes} {
		descriptions <- d
	}
}

// Collect implements [prometheus.Collector]. What ClickHouse does not answer in
// time is missing.
func (s *sizes) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(ledgerSize, prometheus.GaugeValue, float64(s.ledger()))
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout) // a collector is given none
	defer cancel()
	tables, release := s.store.Acquire()
	defer release()
	watermark, err := tables.Watermark(ctx)
	var rolled uint64
	if err == nil {
		rolled, err = tables.RolledUp(ctx)
	}
	var usage map[string]uint64
	if err == nil {
		usage, err = tables.DiskUsage(ctx)
	}
	if err != nil {
		s.logger.Warn("measuring the index", "error", err)
		return
	}
	metrics <- prometheus.MustNewConstMetric(indexed, prometheus.GaugeValue, float64(watermark.Size))
	metrics <- prometheus.MustNewConstMetric(rolledUp, prometheus.GaugeValue, float64(rolled))
	for table, bytes := range usage {
		metrics <- prometheus.MustNewConstMetric(indexBytes, prometheus.GaugeValue, float64(bytes), table)
	}
}
