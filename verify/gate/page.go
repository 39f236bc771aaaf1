package gate

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"repronet.dev/verify/policy"
)

// recent holds the last decisions.
type recent struct {
	mu      sync.Mutex // guards entries
	entries []entry    // the oldest first
}

type entry struct {
	Time time.Time
	Path string
	policy.Decision
}

// maxRecent is how many decisions are shown.
const maxRecent = 200

func (r *recent) add(e entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) == maxRecent {
		r.entries = slices.Delete(r.entries, 0, 1)
	}
	r.entries = append(r.entries, e)
}

func (r *recent) latest() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := slices.Clone(r.entries)
	slices.Reverse(entries)
	return entries
}

// page is what the page at / shows.
type page struct {
	Style    template.CSS
	Upstream string
	FailOpen bool
	Entries  uint64 // of the ledger
	Updated  time.Time
	Doubt    string // why the evidence is not relied on
	Recent   []entry
}

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

func (g *Gate) page(w http.ResponseWriter, _ *http.Request) {
	p := page{Style: template.CSS(pageStyle), Upstream: g.upstream.base.Redacted(), FailOpen: g.config.FailOpen, Recent: g.recent.latest()} //nolint:gosec // our own style
	if c := g.keeper.mirror.Checkpoint(); c != nil {
		p.Entries = c.Size
	}
	g.keeper.mu.Lock()
	p.Updated = g.keeper.updated.UTC()
	_, p.Doubt = g.keeper.trust(time.Now())
	g.keeper.mu.Unlock()
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, &p); err != nil {
		g.log.Error("rendering the page failed", "error", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256([]byte(pageStyle))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes())
}
