package writer

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// retryInterval is how often the writer looks whether trouble is over.
const retryInterval = time.Second

// complaintInterval is how often one and the same trouble is logged.
const complaintInterval = time.Minute

// A matter is what there can be trouble with.
type matter int

const (
	writing matter = iota
	publishing
	theClock
	matters // how many there are
)

var matterNames = [matters]string{"writing entries", "publishing a checkpoint", "the clock"}

// trouble is what keeps the log from working for now. Its zero value is none.
type trouble struct {
	logger *slog.Logger

	mu     sync.Mutex // guards what follows
	now    [matters]error
	logged [matters]time.Time
}

// note takes note of how a matter went: nil for well. Trouble is logged once a
// minute, and its end.
func (t *trouble) note(m matter, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.now[m]
	t.now[m] = err
	switch {
	case err != nil && time.Since(t.logged[m]) >= complaintInterval:
		t.logged[m] = time.Now()
		t.logger.Error("the ledger is in trouble and tries again", "matter", matterNames[m], "error", err)
	case err == nil && before != nil:
		t.logged[m] = time.Time{}
		t.logger.Info("the ledger works again", "matter", matterNames[m], "was", before)
	}
}

func (t *trouble) of(m matter) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now[m]
}

// Trouble returns why the log takes no entries or publishes no checkpoints now; nil
// if it does. It goes on by itself when that is over.
func (l *Log) Trouble() error {
	l.trouble.mu.Lock()
	defer l.trouble.mu.Unlock()
	var errs []error
	for m, err := range l.trouble.now {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", matterNames[m], err))
		}
	}
	return errors.Join(errs...)
}
