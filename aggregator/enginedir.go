package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/durable"
)

// An engineDir is the embedded engine with its directory, which can be set aside
// while the process runs: the store keeps its connections, and finds the engine that
// is open now behind them.
type engineDir struct {
	config chdb.Config

	mu     sync.RWMutex // guards what follows
	engine *chdb.Engine // nil: closed
	place  os.FileInfo  // of the directory as it was opened
}

var errEngineClosed = errors.New("the index is not open")

// RoundTrip implements [http.RoundTripper].
func (d *engineDir) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.RLock()
	engine := d.engine
	d.mu.RUnlock()
	if engine == nil {
		return nil, errEngineClosed
	}
	return engine.Transport().RoundTrip(r)
}

func (d *engineDir) options() *clickhouse.Options {
	connections := d.config.Connections
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{"embedded"}, Auth: clickhouse.Auth{Database: "repronet"},
		MaxOpenConns: connections, MaxIdleConns: connections,
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return d, nil },
	}
}

// opening is how often in a row the process may end while it opens the directory,
// until that is taken for the directory's fault.
const opening = 3

// open opens the engine. A directory with which the process ended several times is
// set aside first: damage that makes the engine itself give up cannot be caught.
func (d *engineDir) open(ctx context.Context) error {
	mark := d.config.Path + ".opening"
	tries := 0
	if text, err := os.ReadFile(mark); err == nil {
		tries, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if tries >= opening {
		if _, err := d.setAside(); err != nil {
			return err
		}
		tries = 0
	}
	if err := durable.WriteFile(mark, []byte(strconv.Itoa(tries+1)+"\n"), 0o640); err != nil {
		return err
	}
	engine, err := chdb.Open(ctx, d.config)
	if err := errors.Join(err, durable.Remove(mark)); err != nil {
		if engine != nil {
			err = errors.Join(err, engine.Close())
		}
		return err
	}
	place, err := os.Stat(d.config.Path)
	if err != nil {
		return errors.Join(err, engine.Close())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.engine, d.place = engine, place
	return nil
}

func (d *engineDir) close() error {
	d.mu.Lock()
	engine := d.engine
	d.engine = nil
	d.mu.Unlock()
	if engine == nil {
		return nil
	}
	return engine.Close()
}

// gone reports whether the directory that was opened is not in its place any more,
// or was emptied: the engine may go on with what it has open, and lose all later.
func (d *engineDir) gone() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.engine == nil {
		return false
	}
	now, err := os.Stat(d.config.Path)
	if err == nil && os.SameFile(now, d.place) {
		_, err = os.Stat(filepath.Join(d.config.Path, "store"))
		return errors.Is(err, os.ErrNotExist)
	}
	return err == nil || errors.Is(err, os.ErrNotExist)
}

// setAside renames the directory, and removes the one that was set aside before. It
// returns the new name; "" if there was none.
func (d *engineDir) setAside() (string, error) {
	old, err := filepath.Glob(d.config.Path + ".damaged-*")
	if err != nil {
		return "", err
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	aside := fmt.Sprintf("%s.damaged-%s", d.config.Path, time.Now().UTC().Format("20060102T150405Z"))
	if err := durable.Rename(d.config.Path, aside); errors.Is(err, os.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return aside, nil
}
