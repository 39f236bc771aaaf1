package reporter

import (
	"context"
	"net/http"

	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
)

// SetTransport replaces the network.
func (r *Runner) SetTransport(t http.RoundTripper) { r.api.HTTP = &http.Client{Transport: t} }

// WithdrawAs has a former key take something back.
func (d *Desk) WithdrawAs(ctx context.Context, id signing.BuilderID, record *spool.Record) error {
	return d.withdrawAs(ctx, id, record)
}
