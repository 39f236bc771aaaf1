package api_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/internal/peertest"
	"repronet.dev/ledger"
)

// answering is a client of a server that gives one answer to everything.
func answering(t *testing.T, status int, body string, headers ...string) *api.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := api.Dial(server.URL+"/", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

const problem = `{"type":"/docs/problems#not-found","title":"Not Found","status":404,"detail":"Nobody attested it."}`

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		client  *api.Client
		status  int
		kind    api.ProblemKind // "" of no problem
		after   time.Duration
		missing bool
	}{
		{"problem", answering(t, 404, problem, "Content-Type", "application/problem+json"), 404, api.ProblemNotFound, 0, true},
		{"another server", answering(t, 404, "<h1>Not found</h1>", "Content-Type", "text/html"), 404, "", 0, true},
		{"problem as HTML", answering(t, 503, problem, "Content-Type", "text/html", "Retry-After", "7"), 503, "", 7 * time.Second, false},
		{"patience", answering(t, 503, "", "Retry-After", "99999999"), 503, "", time.Hour, false},
		{"status of HTTP", answering(t, 500, problem, "Content-Type", "application/problem+json"), 500, api.ProblemNotFound, 0, false},
	} {
		_, err := c.client.Output(t.Context(), "x")
		answered, ok := errors.AsType[*api.AnswerError](err)
		if !ok || answered.Status != c.status || answered.RetryAfter != c.after || errors.Is(err, fs.ErrNotExist) != c.missing {
			t.Errorf("%s: %#v", c.name, err)
			continue
		}
		p, ok := errors.AsType[*api.Problem](err)
		if ok != (c.kind != "") || ok && (p.Kind() != c.kind || p.Status != c.status) {
			t.Errorf("%s: problem %+v, want %q", c.name, p, c.kind)
		}
	}
}

func TestDocuments(t *testing.T) {
	client := answering(t, 200, `{"set":"one","outputs":3,"added_later":true}`, "Content-Type", "application/json; charset=utf-8")
	if s, err := client.Summary(t.Context(), "one"); err != nil || s.Outputs != 3 || s.Set != "one" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, client := range map[string]*api.Client{
		"a page":              answering(t, 200, "<html>", "Content-Type", "text/html"),
		"a member twice":      answering(t, 200, `{"outputs":3,"outputs":4}`, "Content-Type", "application/json"),
		"no UTF-8":            answering(t, 200, "{\"set\":\"\xff\"}", "Content-Type", "application/json"),
		"something behind it": answering(t, 200, `{"outputs":3}{}`, "Content-Type", "application/json"),
	} {
		if s, err := client.Summary(t.Context(), ""); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestSubmit: results come in order, and one that is none costs only itself.
func TestSubmit(t *testing.T) {
	lines := [][]byte{[]byte("1"), []byte("2"), []byte("3"), []byte("4")}
	body := `{"problem":{"type":"/docs/problems#clock","title":"x","status":400,"detail":"y"}}` + "\n" + "nonsense\n" + `{}` + "\n"
	var kinds []string
	for result, err := range answering(t, 200, body, "Content-Type", api.LinesType).Submit(t.Context(), api.SubmitPath, lines) {
		switch {
		case errors.Is(err, api.ErrResult):
			kinds = append(kinds, "no result")
		case err != nil:
			kinds = append(kinds, "end: "+err.Error())
		default:
			kinds = append(kinds, string(result.Problem.Kind()))
		}
	}
	if got := strings.Join(kinds, ", "); got != "clock, no result, no result, end: reading answer 4 of 4: unexpected EOF" {
		t.Errorf("%s", got)
	}
}

// TestHostileAggregator: nothing that a server answers keeps a client waiting for ever,
// or fills its memory.
func TestHostileAggregator(t *testing.T) {
	for name, ask := range map[string]func(*api.Client) error{
		"document": func(c *api.Client) error { _, err := c.Sets(t.Context()); return err },
		"entry":    func(c *api.Client) error { _, _, err := c.Entry(t.Context(), 0); return err },
		"filter": func(c *api.Client) error {
			f, err := c.Filter(t.Context(), "x", "")
			if err == nil {
				_, err = f.Read(1_000_000)
			}
			return err
		},
		"results": func(c *api.Client) error {
			line, err := api.Evidence{Kind: ledger.Narinfo}.Line()
			for _, e := range c.Submit(t.Context(), api.EvidencePath, [][]byte{line}) {
				err = errors.Join(err, e)
			}
			return err
		},
		"enrolment": func(c *api.Client) error { _, err := c.Enrol(t.Context(), nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			media := map[string]string{"entry": "application/json", "filter": "application/octet-stream", "results": api.LinesType}[name]
			if media == "" {
				media = "application/json"
			}
			peer := peertest.Peer{Header: http.Header{"Content-Type": {media}, "Etag": {`"7"`}}, Most: 128 << 20}
			peer.Survive(t, func(base string) error {
				err := ask(&api.Client{HTTP: peertest.Client(), Base: base})
				if name == "entry" && err == nil {
					err = errors.New("the beginning of something endless was taken for an entry")
				}
				return err
			})
		})
	}
}
