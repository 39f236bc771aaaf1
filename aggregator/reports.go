package aggregator

import (
	"context"
	"path/filepath"
	"time"

	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/reports"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// ReportsDir is where in the data directory is kept what builders say of outputs that
// diverge. It is no evidence, and in no backup: reporters hand it in again.
const ReportsDir = "reports"

func (a *Aggregator) openReports(source *query.Query) (*reports.Reports, error) {
	reader := reading.New(a.roster, a.ledger.Attachment)
	return reports.Open(reports.Config{
		Dir: filepath.Join(a.config.Data, ReportsDir), Source: source, Logger: a.deps.Logger,
		Check: func(ctx context.Context, bundle []byte) ([]byte, signing.BuilderID, error) {
			return reader.Payload(ctx, bundle, time.Now())
		},
	})
}
