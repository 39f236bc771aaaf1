package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed templates
var templateFiles embed.FS

// A page is a parsed template and an example of the view model that it shows,
// by which a test checks every field that the template names.
type page struct {
	template *template.Template
	model    any
}

// parsePages parses each page together with the layout and the parts that all
// pages share.
func parsePages() (map[string]*page, error) {
	shared, err := template.New("layout.html").Funcs(template.FuncMap{"number": number, "sign": sign}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing templates: %w", err)
	}
	pages := map[string]*page{}
	for name, model := range map[string]any{
		"overview":    overviewPage{},
		"divergences": divergencesPage{},
		"build":       buildPage{},
		"builders":    buildersPage{},
		"builder":     builderPage{},
		"status":      statusPage{},
		"search":      searchPage{},
		"method":      textPage{},
		"problems":    problemsPage{},
		"api":         apiPage{},
		"error":       errorPage{},
	} {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parsing templates: page %s: %w", name, err)
		}
		pages[name] = &page{template: t, model: model}
	}
	return pages, nil
}

// frame is what the layout shows around every page. A page's view model embeds
// it.
type frame struct {
	Title   string
	Section string // of the navigation, by its path
	JSON    string // URL of the same answer in the API, "" where there is none
	Query   string // in the search box
	Assets  *assets
	Indexed uint64 // ledger entries that the page is a function of
	Now     time.Time
}

func (f *frame) framed() *frame { return f }

// view is a pointer to a view model.
type view interface{ framed() *frame }

// An answer computes the page for a request. It returns an error, or the name
// of a template with its view model, or nil after having redirected.
type answer func(c *gin.Context) (name string, v view, err error)

func (d *Dashboard) handle(answer answer) gin.HandlerFunc {
	return func(c *gin.Context) {
		name, v, err := answer(c)
		switch {
		case err != nil:
			d.fail(c, err)
		case v != nil:
			d.render(c, http.StatusOK, name, v)
		}
	}
}

// render completes the frame and writes the page, or the error page if that
// cannot be done.
func (d *Dashboard) render(c *gin.Context, status int, name string, v view) {
	f := v.framed()
	f.Assets = d.assets
	f.Now = time.Now()
	if f.Indexed == 0 {
		// An unreachable source must not keep the error page from being shown.
		if watermark, err := d.source.Watermark(c.Request.Context()); err == nil {
			f.Indexed = watermark.Indexed
		}
	}
	var buf bytes.Buffer
	if err := d.pages[name].template.Execute(&buf, v); err != nil {
		d.config.Logger.ErrorContext(c.Request.Context(), "rendering page", "page", name, "error", err)
		if name == "error" {
			c.String(http.StatusInternalServerError, "This page cannot be shown. The operator finds the reason in the log.")
			return
		}
		d.fail(c, errors.New("rendering page"))
		return
	}
	c.Header("Cache-Control", "no-cache")
	c.Data(status, "text/html; charset=utf-8", buf.Bytes())
}

// notFoundError says what was looked for, and where to look instead.
type notFoundError struct{ sentence string }

func (e *notFoundError) Error() string { return e.sentence }

// invalidError says which parameter is wrong and what would be right.
type invalidError struct{ sentence string }

func (e *invalidError) Error() string { return e.sentence }

func invalid(format string, args ...any) error {
	return &invalidError{sentence: fmt.Sprintf(format, args...)}
}

// explain turns an error into what its sender may know: an HTTP status, a kind
// of problem, and a sentence without internals.
func explain(err error) (status int, kind, sentence string) {
	var missing *notFoundError
	var method *methodError
	var wrong *invalidError
	switch {
	case errors.As(err, &missing):
		return http.StatusNotFound, "not-found", missing.sentence
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, "not-found", "There is nothing under this name."
	case errors.As(err, &method):
		return http.StatusMethodNotAllowed, "method-not-allowed", "This address does not take " + method.method + " requests."
	case errors.As(err, &wrong):
		return http.StatusUnprocessableEntity, "invalid-parameter", wrong.sentence
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "try-later", "The answer took too long. Try again in a moment."
	default:
		return http.StatusInternalServerError, "internal", "This is a fault of the server, not yours. Its operator finds the reason in the log."
	}
}

type errorPage struct {
	frame
	Status   int
	Sentence string
}

// fail renders every error page.
func (d *Dashboard) fail(c *gin.Context, err error) {
	status, _, sentence := explain(err)
	if status == http.StatusInternalServerError {
		d.config.Logger.ErrorContext(c.Request.Context(), "answering request", "path", c.Request.URL.Path, "error", err)
	}
	v := &errorPage{Status: status, Sentence: sentence}
	v.Title = cmp.Or(map[int]string{
		http.StatusNotFound:            "Not found",
		http.StatusMethodNotAllowed:    "Not like this",
		http.StatusUnprocessableEntity: "This link does not make sense",
		http.StatusServiceUnavailable:  "Not right now",
		http.StatusInternalServerError: "Something broke",
	}[status], http.StatusText(status))
	d.render(c, status, "error", v)
}

// methodError is a request with a method that its address does not take.
type methodError struct{ method string }

func (e *methodError) Error() string { return "method not allowed" }

// unrouted answers what no route of the engine does.
func (d *Dashboard) unrouted(c *gin.Context, err error) {
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		writeProblem(c, err)
		return
	}
	d.fail(c, err)
}

func (d *Dashboard) recoverPanics(c *gin.Context) {
	defer func() {
		if reason := recover(); reason != nil {
			d.fail(c, fmt.Errorf("panic: %v", reason))
			c.Abort()
		}
	}()
	c.Next()
}

// securityHeaders keeps a page from running or loading anything that is not
// this server's own file, and others from framing it.
func securityHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("Cross-Origin-Opener-Policy", "same-origin")
	c.Header("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// baseURL is the address that commands on a page name.
func (d *Dashboard) baseURL(c *gin.Context) string {
	if d.config.URL != "" {
		return strings.TrimSuffix(d.config.URL, "/")
	}
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}
