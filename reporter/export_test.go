package reporter

import "net/http"

// SetTransport replaces the network.
func (r *Runner) SetTransport(t http.RoundTripper) { r.http = &http.Client{Transport: t} }
