package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/api"
)

// Published is what an aggregator publishes, all from as many entries as Size.
type Published struct {
	Size      uint64
	verdicts  *os.File // api.ExportedVerdict lines
	changes   *os.File // api.ExportedChange lines
	sets      []api.Set
	summaries map[string]*api.Summary    // by package set; "" of all
	histories map[string][]api.DayCounts // likewise

	divergences *divergences
	builders    []api.Builder
	agreement   *api.Comparison
}

// ErrMoving is what [Fetch] wraps if the aggregator takes entries in faster than
// what it publishes can be downloaded.
var ErrMoving = errors.New("the aggregator did not stay at one state long enough")

const (
	attempts  = 5
	stall     = 2 * time.Minute // for an answer, and a second for each leastRate bytes
	leastRate = 4 << 10
	maxExport = 1 << 40 // bytes: a disk
	maxLine   = 16 << 10
	maxSets   = 10_000
)

// Fetch downloads what the aggregator at an address publishes. Files go to dir.
func Fetch(ctx context.Context, address, dir string) (p *Published, err error) {
	client, err := api.Dial(address, 0)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	client.HTTP.Transport = &impatience{client.HTTP.Transport, stall}
	f := fetcher{client, dir, maxExport}
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
	api  *api.Client // impatient
	dir  string
	most int64 // of an export
}

func (f *fetcher) fetch(ctx context.Context) (p *Published, err error) {
	p = &Published{summaries: map[string]*api.Summary{}, histories: map[string][]api.DayCounts{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if p.changes, p.Size, err = f.export(ctx, api.ExportChangesPath, nil); err != nil {
		return p, err
	}
	if p.sets, err = f.api.Sets(ctx); err != nil {
		return p, err
	}
	if len(p.sets) > maxSets {
		return p, fmt.Errorf("%s lists %d package sets", f.api.Base, len(p.sets))
	}
	names := []string{""}
	for _, s := range p.sets {
		names = append(names, s.Name)
	}
	for _, name := range names {
		if p.summaries[name], err = f.api.Summary(ctx, name); err != nil {
			return p, err
		}
		if p.histories[name], err = f.api.History(ctx, name); err != nil {
			return p, err
		}
		if p.summaries[name].Indexed != p.Size {
			return p, ErrMoving
		}
	}
	if p.divergences, err = f.divergences(ctx); err != nil {
		return p, err
	}
	if p.builders, err = f.api.Builders(ctx); err != nil {
		return p, err
	}
	if p.agreement, err = f.api.Agreement(ctx); err != nil {
		return p, err
	}
	if p.agreement.AsOf > p.Size {
		return p, ErrMoving
	}
	// The last of the same size says that all in between were.
	p.verdicts, _, err = f.export(ctx, api.ExportVerdictsPath, &p.Size)
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

// export downloads an export to a file that vanishes with the process.
func (f *fetcher) export(ctx context.Context, path string, wanted *uint64) (file *os.File, size uint64, err error) {
	lines, size, err := f.api.Export(ctx, path, wanted)
	if problem, ok := errors.AsType[*api.Problem](err); ok && problem.Status == http.StatusConflict {
		return nil, 0, ErrMoving
	}
	if err != nil {
		return nil, 0, err
	}
	defer lines.Body.Close()
	if file, err = os.CreateTemp(f.dir, "published-*"); err != nil {
		return nil, 0, err
	}
	if err = os.Remove(file.Name()); err == nil {
		var n int64
		if n, err = io.Copy(file, io.LimitReader(lines.Body, f.most)); err == nil && n == f.most {
			err = fmt.Errorf("it is larger than %d bytes", f.most)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("downloading %s%s: %w", f.api.Base, path, err), file.Close())
	}
	return file, size, nil
}

// impatience ends requests whose answers come too slowly, in place of a bound for the
// whole of an answer, which may be large.
type impatience struct {
	http.RoundTripper
	stall time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (t *impatience) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	body := &impatient{cancel: cancel, until: time.Now().Add(t.stall)}
	body.timer = time.AfterFunc(t.stall, func() { cancel(errTooSlow) })
	response, err := t.RoundTripper.RoundTrip(request.WithContext(ctx))
	if err != nil {
		body.stop()
		return nil, err
	}
	body.ReadCloser, response.Body = response.Body, body
	return response, nil
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
