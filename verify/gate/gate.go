// Package gate is a Nix binary cache that lets through what a policy accepts.
//
// It stands between a Nix client and an upstream cache. A narinfo passes only if
// the policy accepts its store path with exactly its NAR hash, by the evidence in
// a mirror that is refreshed in the background. What is refused is answered with
// 404, which Nix takes for "not in this cache", with the reason as text, in the
// header Repronet-Refused, in the log and on a page at /.
//
// The upstream's signatures stay as they are: Nix checks them as if there were no
// gate. Of a narinfo only the URL of the NAR is changed, which is not signed. It
// names the store path and the NAR hash that were accepted, so the gate needs no
// memory: when the NAR is asked for, upstream's narinfo is fetched and judged
// again. The NAR is passed on while it is unpacked and hashed. Its end is withheld
// until the hash is right, so one that was swapped never arrives as a whole.
//
// Upstream is not trusted: its answers are bounded in size and time, come from its
// own host only, and what it can do is to have nothing. What the gate cannot have or
// read is answered with 404, so that Nix goes on and builds. If the mirror is older than allowed or the log is
// invalid, nothing passes, unless the gate is told to fail open: then what the
// known evidence does not contradict passes.
//
// A path whose name follows from its own NAR hash and references (sources, fixed outputs)
// is proven by its name, and passes without evidence of builders, also where the cache
// leaves out that it is one.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"repronet.dev/ecosystem"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

// Config is what a gate is told. Zero durations stand for the defaults.
type Config struct {
	Upstream string // URL of the binary cache
	Policy   *policy.Policy
	Pins     *verify.Pins
	// Refresh is how often the mirror is updated: every minute.
	Refresh time.Duration
	// MaxStale is how long ago the last update may have succeeded: one hour.
	MaxStale time.Duration
	// MaxAge is how old the newest state of the ledger may be when it is seen. 0:
	// any.
	MaxAge time.Duration
	// FailOpen lets through what nothing is known against while the evidence is
	// stale or the log invalid.
	FailOpen bool
	// Timeout bounds an answer of upstream: one minute, and for a NAR a second
	// more for every 64 KiB.
	Timeout time.Duration
}

// A Gate is an HTTP handler. Run keeps its evidence fresh.
type Gate struct {
	config   Config
	keeper   *keeper
	upstream *upstream
	recent   *recent
	log      *slog.Logger
	mux      *http.ServeMux
	streams  chan struct{} // one for each NAR under way
}

// maxStreams bounds the NARs under way, of which each can take 64 MiB for its
// decompression. Nix opens 25 connections.
const maxStreams = 32

// New makes a gate over a mirror, which the caller keeps open.
func New(config Config, mirror *verify.Mirror, log *slog.Logger) (*Gate, error) {
	base, err := url.Parse(config.Upstream)
	if err != nil || !slices.Contains([]string{"http", "https", "file"}, base.Scheme) || (base.Host == "") != (base.Scheme == "file") || base.Scheme == "file" && base.Path == "" {
		return nil, fmt.Errorf("upstream %.200q is not the URL of a binary cache: want http://…, https://… or file:///…", config.Upstream)
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&config.Refresh, time.Minute}, {&config.MaxStale, time.Hour}, {&config.Timeout, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	g := &Gate{
		config: config, log: log, mux: http.NewServeMux(), recent: &recent{}, streams: make(chan struct{}, maxStreams),
		keeper:   &keeper{config: config, mirror: mirror},
		upstream: newUpstream(base, config.Timeout),
	}
	g.mux.HandleFunc("GET /nix-cache-info", g.cacheInfo)
	g.mux.HandleFunc("GET /{file}", g.narinfo)
	g.mux.HandleFunc("GET /nar/{file}", g.nar)
	g.mux.HandleFunc("GET /{$}", g.page)
	return g, nil
}

// Close closes idle connections to upstream.
func (g *Gate) Close() { g.upstream.client.CloseIdleConnections() }

// Run updates the mirror until the context ends.
func (g *Gate) Run(ctx context.Context) {
	for {
		switch err := g.keeper.refresh(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			g.log.Warn("updating the mirror failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(g.config.Refresh):
		}
	}
}

// ServeHTTP answers a Nix client, or a person.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	g.mux.ServeHTTP(w, r)
}

// cacheInfo tells Nix that this is a cache, and what upstream says of itself. Where
// upstream says nothing, as Nix asks for no more than that there is one, the gate
// answers for itself: an error here would make Nix pass over the gate, and later
// errors of upstream are told for each path.
func (g *Gate) cacheInfo(w http.ResponseWriter, r *http.Request) {
	text, err := g.upstream.get(r.Context(), "nix-cache-info", maxCacheInfo)
	if err == nil {
		err = checkCacheInfo(text)
		if err != nil {
			g.failed(w, r, err)
			return
		}
	} else {
		g.log.Warn("upstream has no nix-cache-info", "error", err)
		text = []byte("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n")
	}
	w.Header().Set("Content-Type", "text/x-nix-cache-info")
	_, _ = w.Write(text)
}

const maxCacheInfo = 4096

// checkCacheInfo reads nix-cache-info as Nix does (BinaryCacheStore::init): lines
// "name: value" whose values are trimmed, of which others are passed over. Without a
// StoreDir it is a cache of /nix/store.
func checkCacheInfo(text []byte) error {
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if dir := strings.TrimSpace(value); strings.TrimSpace(name) == "StoreDir" && dir != "/nix/store" {
			return fmt.Errorf("it is a cache of %.100q, not of /nix/store", dir)
		}
	}
	return nil
}

const nix32 = `[0-9a-df-np-sv-z]`

var narinfoPattern = regexp.MustCompile(`^(` + nix32 + `{32})\.narinfo$`)

func (g *Gate) narinfo(w http.ResponseWriter, r *http.Request) {
	name := narinfoPattern.FindStringSubmatch(r.PathValue("file"))
	if name == nil {
		http.Error(w, "this is a Nix binary cache: it has narinfo files and NARs", http.StatusNotFound)
		return
	}
	offer, err := g.upstream.offer(r.Context(), name[1])
	if err != nil {
		g.failed(w, r, err)
		return
	}
	if !g.judge(w, r, offer, true) {
		return
	}
	w.Header().Set("Content-Type", "text/x-nix-narinfo")
	_, _ = w.Write(offer.rewritten())
}

// judge asks the policy about an offer, and answers if it is refused.
func (g *Gate) judge(w http.ResponseWriter, r *http.Request, o *offer, remember bool) bool {
	if ecosystem.ProvenByName(o.StorePath, o.NarHash, o.References) {
		if remember {
			g.record(r, o, policy.Decision{Action: policy.Accept, Finding: proven, Reasons: []string{"its name follows from its content, which is checked on its way"}})
		}
		return true
	}
	d := g.keeper.judge(r.Context(), o.StorePath, o.NarHash, time.Now())
	if d.Action == policy.Refuse {
		g.refuse(w, r, o, d)
		return false
	}
	if remember {
		g.record(r, o, d)
	}
	return true
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, o *offer, d policy.Decision) {
	g.record(r, o, d)
	w.Header().Set("Repronet-Refused", string(d.Finding))
	http.Error(w, fmt.Sprintf("repronet-verify gate refused %s\n%s: %s", o.StorePath, d.Finding, strings.Join(d.Reasons, "\n")), http.StatusNotFound)
}

func (g *Gate) record(r *http.Request, o *offer, d policy.Decision) {
	g.recent.add(entry{Time: time.Now().UTC(), Path: o.StorePath, Decision: d})
	level := slog.LevelInfo
	if d.Action != policy.Accept {
		level = slog.LevelWarn
	}
	g.log.Log(r.Context(), level, "judged", "path", o.StorePath, "request", r.URL.Path, "action", d.Action, "finding", d.Finding, "section", d.Section, "reasons", d.Reasons)
}

// failed answers where upstream has nothing, or nothing that can be read: with 404,
// which Nix takes for "not in this cache" and goes on. Another status would end the
// build.
func (g *Gate) failed(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, errNotFound) && r.Context().Err() == nil {
		g.log.Warn("upstream failed", "request", r.URL.Path, "error", err)
		w.Header().Set("Repronet-Refused", "unavailable")
	}
	http.Error(w, fmt.Sprintf("the cache behind this gate: %v", err), http.StatusNotFound)
}
