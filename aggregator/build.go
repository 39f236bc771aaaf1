package aggregator

import (
	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/internal/version"
)

// build is a metric that says, in its labels, what the program was built from.
func build() prometheus.Collector {
	info := version.Get()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "repronet_build_info",
		Help: "What the program was built from; always 1.",
		ConstLabels: prometheus.Labels{
			"version": info.Version, "commit": info.Commit, "go": info.Go,
		},
	})
	g.Set(1)
	return g
}
