package dashboard

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
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
	shared, err := template.New("layout.html").Funcs(template.FuncMap{"number": number, "sign": func(verdict any) string { return sign(fmt.Sprint(verdict)) }}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing templates: %w", err)
	}
	pages := map[string]*page{}
	for name, model := range map[string]any{
		"overview":     overviewPage{},
		"divergences":  divergencesPage{},
		"sets":         setsPage{},
		"set":          setPage{},
		"revision":     revisionPage{},
		"packages":     packagesPage{},
		"package":      packagePage{},
		"maintainers":  maintainersPage{},
		"maintainer":   maintainerPage{},
		"build":        buildPage{},
		"coverage":     coveragePage{},
		"builders":     buildersPage{},
		"builder":      builderPage{},
		"status":       statusPage{},
		"search":       searchPage{},
		"subscription": subscriptionPage{},
		"method":       methodPage{},
		"problems":     problemsPage{},
		"api":          apiPage{},
		"data":         &dataPage{},
		"questions":    questionsPage{},
		"question":     questionPage{},
		"error":        errorPage{},
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
	// Alternates are documents beside the page, to which its head links.
	Alternates []alternate
	Query      string // in the search box
	Assets     *assets
	Indexed    uint64 // ledger entries that the page is a function of
	Now        time.Time

	status int // of the answer; 0 for 200
}

func (f *frame) framed() *frame { return f }

// view is a pointer to a view model.
type view interface{ framed() *frame }

// An answer computes the page for a request. It returns an error, or the name
// of a template with its view model, or nil after having redirected.
type answer func(c *gin.Context) (name string, v view, err error)

// showNamed shows what a parameter, the path's rest, names; a path that ends before it leads to the list.
func (d *Dashboard) showNamed(c *gin.Context, parameter, list string, answer answer) {
	if c.Param(parameter) == "/" {
		c.Redirect(http.StatusMovedPermanently, list)
		return
	}
	d.show(c, answer)
}

func (d *Dashboard) show(c *gin.Context, answer answer) {
	name, v, err := answer(c)
	switch {
	case err != nil:
		d.Fail(c, err)
	case v != nil:
		d.render(c, cmp.Or(v.framed().status, http.StatusOK), name, v)
	}
}

// render completes the frame and writes the page, or the error page if that
// cannot be done.
func (d *Dashboard) render(c *gin.Context, status int, name string, v view) {
	f := v.framed()
	f.Assets = d.assets
	f.Now = time.Now()
	if f.Indexed == 0 && status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		// An unreachable source must not keep the error page from being shown, and one
		// with too much to do is asked nothing for it.
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
		d.Fail(c, errors.New("rendering page"))
		return
	}
	c.Header("Cache-Control", "no-cache")
	c.Data(status, "text/html; charset=utf-8", buf.Bytes())
}

func invalid(format string, args ...any) error {
	return api.NewProblem(api.ProblemInvalidParameter, fmt.Sprintf(format, args...))
}

// Missing replaces [ErrNotFound] by a sentence that says what was looked for.
func Missing(err error, format string, args ...any) error {
	if errors.Is(err, ErrNotFound) {
		return api.NewProblem(api.ProblemNotFound, fmt.Sprintf(format, args...))
	}
	return err
}

type errorPage struct {
	frame
	Status   int
	Sentence string
}

// Fail answers with the page of an error.
func (d *Dashboard) Fail(c *gin.Context, err error) {
	p := d.config.Problem(err)
	if p.Status == http.StatusInternalServerError {
		d.config.Logger.ErrorContext(c.Request.Context(), "answering request", "path", c.Request.URL.Path, "error", err)
	}
	v := &errorPage{Status: p.Status, Sentence: p.Detail}
	v.Title = cmp.Or(map[int]string{
		http.StatusNotFound:            "Not found",
		http.StatusMethodNotAllowed:    "Not like this",
		http.StatusUnprocessableEntity: "This link does not make sense",
		http.StatusTooManyRequests:     "Not so many at once",
		http.StatusServiceUnavailable:  "Not right now",
		http.StatusInternalServerError: "Something broke",
	}[p.Status], http.StatusText(p.Status))
	d.render(c, p.Status, "error", v)
}

// SecurityHeaders keeps a page from running or loading anything that is not
// this server's own file, and others from framing it.
func SecurityHeaders(c *gin.Context) {
	c.Header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("Cross-Origin-Opener-Policy", "same-origin")
	c.Header("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// BaseURL is the address that commands on pages, feeds and badges name: never what a request
// says of it.
func (d *Dashboard) BaseURL(c *gin.Context) string {
	if d.config.URL != "" {
		return strings.TrimSuffix(d.config.URL, "/")
	}
	local, ok := c.Request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return unknownAddress
	}
	return (&url.URL{Scheme: "http", Host: local.String()}).String()
}

// unknownAddress stands for the aggregator's address where it is not known.
const unknownAddress = "https://AGGREGATOR"
