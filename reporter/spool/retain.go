package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"repronet.dev/internal/durable"
)

// DefaultRetention is how long a record of which nothing may be sent is retained: a
// package set's revision is published some time after its builds were made.
const DefaultRetention = 30 * 24 * time.Hour

// maxRetained bounds the records that are retained. The oldest go first.
const maxRetained = 100_000

// retain moves a record of which nothing may be sent out of the queue.
func (w *Writer) retain(q *queued) error {
	if err := durable.Rename(filepath.Join(w.dir, queueDir, q.name), filepath.Join(w.dir, retainedDir, q.name)); err != nil {
		return fmt.Errorf("retaining a record: %w", err)
	}
	return nil
}

// retainRest retains the outputs of a record that may not be sent, before those that
// may be are sealed. The record's file goes when they are; after a crash before
// that, this is done again, by what may be sent then.
func (w *Writer) retainRest(q *queued) error {
	path := filepath.Join(w.dir, retainedDir, restName(q.name))
	if len(q.rest) == 0 {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return durable.Remove(path)
	}
	rest := *q.Record
	rest.Outputs = q.rest
	data, err := rest.encode()
	if err == nil {
		err = durable.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("retaining a part of a record: %w", err)
	}
	return nil
}

var restPattern = regexp.MustCompile(`^(.*)-rest(\d+)\.json$`)

// restName is the name of what is left of a record. It is another name, since a
// statement in the outbox names the record that it carries.
func restName(name string) string {
	base, n := name[:len(name)-len(filepath.Ext(name))], 0
	if parts := restPattern.FindStringSubmatch(name); parts != nil {
		base = parts[1]
		n, _ = strconv.Atoi(parts[2])
	}
	return fmt.Sprintf("%s-rest%d.json", base, n+1)
}

// Reconsider moves the retained records of which something may be sent now back to
// the queue, and returns how many. It is for after a [Writer.Seal] by the same
// choice, which leaves nothing half-done.
func (w *Writer) Reconsider(choose Choose) (moved int, err error) {
	err = w.withRoom(func() error {
		n, err := w.reconsider(choose)
		moved += n
		return err
	})
	return moved, err
}

func (w *Writer) reconsider(choose Choose) (int, error) {
	names, err := w.list(retainedDir)
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, name := range names {
		q, err := w.readQueued(retainedDir, name)
		if err != nil {
			return moved, err
		}
		if q == nil || q.restrict(choose) != Send {
			continue
		}
		if err := durable.Rename(filepath.Join(w.dir, retainedDir, name), filepath.Join(w.dir, queueDir, name)); err != nil {
			return moved, fmt.Errorf("taking up a retained record: %w", err)
		}
		moved++
	}
	return moved, nil
}

// Expire deletes the records that are retained for longer than the time, and the
// oldest above 100,000. No more than their number of outputs remains of them.
func (w *Writer) Expire(retention time.Duration) error {
	return w.withRoom(func() error { return w.expire(retention) })
}

func (w *Writer) expire(retention time.Duration) error {
	names, err := w.list(retainedDir)
	if err != nil {
		return err
	}
	next := *w.state
	next.Remove = nil
	for i, name := range names {
		if len(names)-i <= maxRetained && time.Since(recorded(name)) < retention {
			break // names are in the order of time
		}
		q, err := w.readQueued(retainedDir, name)
		if err != nil {
			return err
		}
		if q == nil {
			continue
		}
		next.Private += uint64(len(q.Outputs))
		next.Remove = append(next.Remove, filepath.Join(retainedDir, name))
	}
	if len(next.Remove) == 0 {
		return nil
	}
	return w.commit(&next)
}

// recorded is when a record was written, by its name (see recordName). A name of
// another form is as old as can be.
func recorded(name string) time.Time {
	if len(name) < 16 {
		return time.Time{}
	}
	nanoseconds, err := strconv.ParseInt(name[:16], 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// Retained returns the number of records that are retained.
func (s *Spool) Retained() (int, error) {
	names, err := s.list(retainedDir)
	return len(names), err
}
