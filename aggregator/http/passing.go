package http

import (
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

// A Writer is the server that writes the ledger, seen from one that follows it: what only it
// can answer is passed on to it.
type Writer struct {
	Base      string // its address, without a slash at its end
	Transport http.RoundTripper
}

// open prepares the way to the writer.
func (w *Writer) open() (*httputil.ReverseProxy, error) {
	base, err := url.Parse(w.Base)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: w.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.SetXForwarded() // the writer believes it if it names this server among its proxies
		},
	}, nil
}

// passOn has the writer answer a request.
func (s *Server) passOn(c *gin.Context) {
	proxy := *s.writer
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {
		programHeaders(c)
		s.fail(c, api.NewProblem(api.ProblemTryLater, "The server that writes the ledger, to which this is passed on, does not answer now: send it again later."))
	}
	proxy.ServeHTTP(c.Writer, c.Request)
}
