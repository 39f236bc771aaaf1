package answers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// patience bounds each wait for a server: to index the ledger, to commit to a map.
const patience = 3 * time.Minute

// atOnce is how many requests are on their way at a time.
const atOnce = 4

// ask asks the API, the exports and the checker.
func (r *reading) ask(ctx context.Context, base string) error {
	size, err := r.indexed(ctx, base)
	if err != nil {
		return err
	}
	r.answers["entries"] = strconv.FormatUint(size, 10)
	paths := []string{"/api/v1/summary", "/api/v1/history", "/api/v1/sets", "/api/v1/export/verdicts", "/api/v1/export/changes"}
	var sets []struct{ Name string }
	if err := document(ctx, base+"/api/v1/sets", &sets); err != nil {
		return err
	}
	for _, set := range sets {
		name := "?set=" + url.QueryEscape(set.Name)
		paths = append(paths, "/api/v1/summary"+name, "/api/v1/history"+name, "/api/v1/sets/"+url.PathEscape(set.Name)+"/filter")
		if err := r.divergences(ctx, base, name+"&"); err != nil {
			return err
		}
	}
	if !r.options.Index {
		builders, err := builderPaths(ctx, base)
		if err != nil {
			return err
		}
		paths = append(append(paths, "/api/v1/agreement"), builders...)
	}
	outputs, err := r.outputs(ctx, base)
	if err != nil {
		return err
	}
	if err := r.get(ctx, base, append(paths, outputs...)); err != nil {
		return err
	}
	if err := r.divergences(ctx, base, "?"); err != nil {
		return err
	}
	return r.replay(ctx, base)
}

// get asks for paths. The answer to each is its status and body, or its body's digest if
// it is no text.
func (r *reading) get(ctx context.Context, base string, paths []string) error {
	said := make([]string, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, path := range paths {
		group.Go(func() error {
			status, body, err := fetch(ctx, base+path)
			if !utf8.Valid(body) {
				body = fmt.Appendf(nil, "sha256:%x of %d bytes", sha256.Sum256(body), len(body))
			}
			said[i] = fmt.Sprintf("%d\n%s", status, body)
			return err
		})
	}
	err := group.Wait()
	for i, path := range paths {
		r.answers[path] = said[i]
	}
	return err
}

// divergences reads all pages of the list. Cursors are the server's own affair.
func (r *reading) divergences(ctx context.Context, base, query string) error {
	path := "/api/v1/divergences" + query + "limit=1000"
	var all []json.RawMessage
	for cursor := ""; ; {
		var page struct {
			Divergences []json.RawMessage
			Next        string
		}
		if err := document(ctx, base+path+cursor, &page); err != nil {
			return err
		}
		all = append(all, page.Divergences...)
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	text, err := json.Marshal(all)
	r.answers[strings.TrimRight(path, "&")] = "200\n" + string(text)
	return err
}

// builderPaths returns the paths of the list of builders and of each of them.
func builderPaths(ctx context.Context, base string) ([]string, error) {
	var builders []struct{ ID string }
	paths := []string{"/api/v1/builders"}
	err := document(ctx, base+paths[0], &builders)
	for _, b := range builders {
		paths = append(paths, "/api/v1/builders/"+url.PathEscape(b.ID))
	}
	return paths, err
}

// outputs returns the paths of outputs and of their builds.
func (r *reading) outputs(ctx context.Context, base string) (paths []string, err error) {
	status, verdicts, err := fetch(ctx, base+"/api/v1/export/verdicts")
	if err != nil || status != http.StatusOK {
		return nil, errors.Join(err, fmt.Errorf("the export of verdicts is answered with status %d", status))
	}
	lines := bytes.Split(bytes.TrimSpace(verdicts), []byte("\n"))
	every := 1
	if n := r.options.Outputs; n > 0 {
		every = max(1, len(lines)/n)
	}
	for i := 0; i < len(lines) && len(lines[i]) > 0; i += every {
		var verdict struct{ Output string }
		if err := json.Unmarshal(lines[i], &verdict); err != nil {
			return nil, fmt.Errorf("the export of verdicts: %w", err)
		}
		build, _, _ := strings.Cut(verdict.Output, "^")
		paths = append(paths, "/api/v1/outputs?name="+url.QueryEscape(verdict.Output), "/api/v1/builds?name="+url.QueryEscape(build))
	}
	return paths, nil
}

// replay has the checker compute everything, and compare it with the server.
func (r *reading) replay(ctx context.Context, base string) error {
	pins, mirror := filepath.Join(r.tmp, "pins.json"), filepath.Join(r.tmp, "mirror")
	run := func(args ...string) (string, error) {
		command := exec.CommandContext(ctx, r.programs.Verify(), append(args, "--config", pins)...)
		var stdout bytes.Buffer
		command.Stdout, command.Stderr = &stdout, r.options.Log
		err := command.Run()
		if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
			return "", err
		}
		return fmt.Sprintf("status %d\n%s", command.ProcessState.ExitCode(), timeTaken.ReplaceAll(stdout.Bytes(), nil)), nil
	}
	said, err := run("pin", "--yes", "--aggregator", base)
	if err != nil || !strings.HasPrefix(said, "status 0\n") { // a ledger that lacks what it names, say
		r.answers["repronet-verify pin"] = said
		return err
	}
	said, err = run("replay", "--json", "--all-maps", "--mirror", mirror, "--aggregator", base)
	r.answers["repronet-verify replay --json --all-maps --aggregator"] = said
	if err != nil {
		return err
	}
	r.answers["repronet-verify replay --json"], err = run("replay", "--json", "--mirror", mirror)
	return err
}

// timeTaken is what replay says of the time that it took.
var timeTaken = regexp.MustCompile(`,?\s*"seconds":\s*[0-9.e+-]+`)

// commit waits for the server's first map of the whole ledger, and keeps its root.
func (r *reading) commit(ctx context.Context, base string) error {
	entry := "/api/v1/entries/" + r.answers["entries"]
	return waitFor(ctx, "the server does not commit to a map", func() (bool, error) {
		status, body, err := fetch(ctx, base+entry)
		r.answers["map root"] = string(body)
		return status == http.StatusOK, err
	})
}

// ErrUndecided says that a program stops, by its rules, before an entry of a ledger that
// only a newer one can read.
var ErrUndecided = errors.New("undecided")

// indexed waits until the index covers the ledger, and returns its size.
func (r *reading) indexed(ctx context.Context, base string) (size uint64, err error) {
	return size, waitFor(ctx, "the server does not index the ledger", func() (bool, error) {
		var summary struct {
			LedgerSize uint64 `json:"ledger_size"`
			Indexed    uint64 `json:"indexed"`
		}
		err := document(ctx, base+"/api/v1/summary", &summary)
		size = summary.LedgerSize
		if err != nil || summary.Indexed == size {
			return err == nil, err
		}
		_, why, err := fetch(ctx, base+"/healthz/ready")
		if err == nil && bytes.Contains(why, []byte("a newer program is needed")) {
			err = fmt.Errorf("%w: %s", ErrUndecided, bytes.TrimSpace(why))
		}
		return false, err
	})
}

// waitFor asks again and again until ready, for [patience] at most.
func waitFor(ctx context.Context, otherwise string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New(otherwise))
	defer cancel()
	for {
		if done, err := ready(); err != nil || done {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// document reads the JSON of an answer with status 200.
func document(ctx context.Context, url string, into any) error {
	status, body, err := fetch(ctx, url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %s", url, status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	return err
}

func fetch(ctx context.Context, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
