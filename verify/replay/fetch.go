package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"repronet/internal/wire"
)

// Published is what an aggregator publishes, all from as many entries as Size.
type Published struct {
	Size      uint64
	verdicts  *os.File // wire.ExportedVerdict lines
	changes   *os.File // wire.ExportedChange lines
	sets      []publishedSet
	summaries map[string]summary        // by package set; "" of all
	histories map[string][]publishedDay // likewise

	divergences *divergences
	builders    []publishedBuilder
	agreement   publishedAgreement
}

// summary has what is compared of /api/v1/summary.
type summary struct {
	Revision     string `json:"revision"`
	Outputs      uint64 `json:"outputs"`
	Compared     uint64 `json:"compared"`
	Reproduced   uint64 `json:"reproduced"`
	Diverged     uint64 `json:"diverged"`
	Single       uint64 `json:"single"`
	Unbuilt      uint64 `json:"unbuilt"`
	Builders     uint64 `json:"builders"`
	Operators    uint64 `json:"operators"`
	Attestations uint64 `json:"attestations"`
	Observations uint64 `json:"observations"`
	Failures     uint64 `json:"failures"`
	Indexed      uint64 `json:"indexed"`
}

type publishedDay struct {
	Day        time.Time `json:"day"`
	Reproduced uint64    `json:"reproduced"`
	Diverged   uint64    `json:"diverged"`
	Single     uint64    `json:"single"`
}

type publishedSet struct {
	Name        string    `json:"name"`
	Revision    string    `json:"revision"`
	PublishedAt time.Time `json:"published_at"`
	Index       uint64    `json:"index"`
	Members     uint64    `json:"members"`
}

// ErrMoving is what [Fetch] wraps if the aggregator takes entries in faster than
// what it publishes can be downloaded.
var ErrMoving = errors.New("the aggregator did not stay at one state long enough")

const (
	attempts   = 5
	stall      = 2 * time.Minute // for an answer, and a second for each leastRate bytes
	leastRate  = 4 << 10
	maxAnswer  = 64 << 20 // bytes of a summary, a history or the list of sets
	maxExport  = 1 << 40  // bytes: a disk
	maxLine    = 16 << 10
	maxSets    = 10_000
	problemMax = 512
)

// Fetch downloads what the aggregator at an address publishes. Files go to dir.
func Fetch(ctx context.Context, address, dir string) (p *Published, err error) {
	client, base, err := wire.Client(address, 0)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	f := fetcher{client, base, dir, stall, maxExport}
	for range attempts {
		if p, err = f.fetch(ctx); !errors.Is(err, ErrMoving) {
			return p, err
		}
	}
	return nil, fmt.Errorf("%w: after %d attempts; ask again when less is going on there", err, attempts)
}

// Close removes the files.
func (p *Published) Close() error {
	return errors.Join(closeAll(p.verdicts, p.changes), p.divergences.close())
}

type fetcher struct {
	client *http.Client
	base   string
	dir    string
	stall  time.Duration
	most   int64 // of an export
}

func (f *fetcher) fetch(ctx context.Context) (p *Published, err error) {
	p = &Published{summaries: map[string]summary{}, histories: map[string][]publishedDay{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.changes, p.Size, err = f.export(ctx, wire.ExportChangesPath); err != nil {
		return p, err
	}
	if err := f.json(ctx, "/api/v1/sets", &p.sets); err != nil {
		return p, err
	}
	if len(p.sets) > maxSets {
		return p, fmt.Errorf("%s lists %d package sets", f.base, len(p.sets))
	}
	names := []string{""}
	for _, s := range p.sets {
		names = append(names, s.Name)
	}
	for _, name := range names {
		query := ""
		if name != "" {
			query = "?set=" + url.QueryEscape(name)
		}
		var s summary
		var days []publishedDay
		if err := errors.Join(f.json(ctx, "/api/v1/summary"+query, &s), f.json(ctx, "/api/v1/history"+query, &days)); err != nil {
			return p, err
		}
		if s.Indexed != p.Size {
			return p, ErrMoving
		}
		p.summaries[name], p.histories[name] = s, days
	}
	if p.divergences, err = f.divergences(ctx); err != nil {
		return p, err
	}
	if err := errors.Join(f.json(ctx, "/api/v1/builders", &p.builders), f.json(ctx, "/api/v1/agreement", &p.agreement)); err != nil {
		return p, err
	}
	if p.agreement.AsOf > p.Size {
		return p, ErrMoving
	}
	// The last of the same size says that all in between were.
	p.verdicts, _, err = f.export(ctx, wire.ExportVerdictsPath+"?size="+strconv.FormatUint(p.Size, 10))
	return p, err
}

func closeAll(files ...*os.File) error {
	var all []error
	for _, f := range files {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}

func (f *fetcher) json(ctx context.Context, path string, into any) error {
	body, _, err := f.get(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	// All of it before it is parsed: white space in pieces takes quadratic time.
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("reading %s%s: %w", f.base, path, err)
	}
	return nil
}

// export downloads an export to a file that vanishes with the process.
func (f *fetcher) export(ctx context.Context, path string) (file *os.File, size uint64, err error) {
	body, header, err := f.get(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	defer body.Close()
	if size, err = strconv.ParseUint(header.Get(wire.IndexedHeader), 10, 64); err != nil {
		return nil, 0, fmt.Errorf("reading %s%s: header %s: %w", f.base, path, wire.IndexedHeader, err)
	}
	if file, err = os.CreateTemp(f.dir, "published-*"); err != nil {
		return nil, 0, err
	}
	if err = os.Remove(file.Name()); err == nil {
		var n int64
		if n, err = io.Copy(file, io.LimitReader(body, f.most)); err == nil && n == f.most {
			err = fmt.Errorf("it is larger than %d bytes", f.most)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("downloading %s%s: %w", f.base, path, err), file.Close())
	}
	return file, size, nil
}

func (f *fetcher) get(ctx context.Context, path string) (io.ReadCloser, http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body := &impatient{cancel: cancel, until: time.Now().Add(f.stall)}
	body.timer = time.AfterFunc(f.stall, func() { cancel(errTooSlow) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, nil, err
	}
	response, err := f.client.Do(request) //nolint:bodyclose // closed below, or by the caller
	if err != nil {
		body.stop()
		return nil, nil, fmt.Errorf("asking the aggregator: %w", err)
	}
	body.ReadCloser = response.Body
	if response.StatusCode == http.StatusOK {
		return body, response.Header, nil
	}
	text, _ := io.ReadAll(io.LimitReader(body, problemMax))
	err = body.Close()
	if response.StatusCode == http.StatusConflict {
		return nil, nil, ErrMoving
	}
	return nil, nil, errors.Join(fmt.Errorf("asking the aggregator: GET %s: %s: %q", request.URL, response.Status, text), err)
}

var errTooSlow = errors.New("the answer comes too slowly")

// impatient gives up when nothing comes, or hardly anything.
type impatient struct {
	io.ReadCloser
	until  time.Time // to give up if nothing more comes
	read   int64
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (i *impatient) Read(p []byte) (int, error) {
	n, err := i.ReadCloser.Read(p)
	i.read += int64(n)
	i.timer.Reset(time.Until(i.until.Add(time.Duration(i.read/leastRate) * time.Second)))
	return n, err
}

func (i *impatient) Close() error {
	defer i.stop()
	return i.ReadCloser.Close()
}

func (i *impatient) stop() {
	i.timer.Stop()
	i.cancel(nil)
}

// lines reads the JSON lines of an export one by one.
type lines[T any] struct {
	scanner *bufio.Scanner
	line    T
	more    bool
}

func newLines[T any](file *os.File) (*lines[T], error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	l := &lines[T]{scanner: bufio.NewScanner(file)}
	l.scanner.Buffer(nil, maxLine)
	return l, l.next()
}

func (l *lines[T]) next() error {
	var line T
	l.line, l.more = line, l.scanner.Scan()
	if !l.more {
		return l.scanner.Err()
	}
	return json.Unmarshal(l.scanner.Bytes(), &l.line)
}
