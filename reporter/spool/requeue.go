package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/internal/durable"
)

// requeueFile asks the writer to send again what was refused.
const requeueFile = "requeue"

// AskRequeue asks the [Writer], also one of another process, to send again what the
// aggregator refused, and returns how many statements that are now.
func (s *Spool) AskRequeue() (int, error) {
	refused, err := s.list(refusedDir)
	if err != nil || len(refused) == 0 {
		return 0, err
	}
	text := time.Now().UTC().Format(time.RFC3339) + "\n"
	return len(refused), durable.WriteFile(filepath.Join(s.dir, requeueFile), []byte(text), 0o600)
}

// RequeueAsked reports whether refused statements are to be sent again.
func (s *Spool) RequeueAsked() bool {
	_, err := os.Lstat(filepath.Join(s.dir, requeueFile))
	return err == nil
}

// Requeue puts the refused statements back into the outbox, as they were signed, if
// that was asked for. It returns how many.
func (w *Writer) Requeue() (requeued int, err error) {
	if !w.RequeueAsked() {
		return 0, nil
	}
	err = w.withRoom(func() error {
		requeued, err = w.requeue()
		return err
	})
	return requeued, err
}

func (w *Writer) requeue() (int, error) {
	names, err := w.list(refusedDir)
	if err != nil {
		return 0, err
	}
	next := *w.state
	next.Remove = []string{requeueFile}
	for _, name := range names {
		item, err := w.readItem(refusedDir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			if err := w.quarantine(refusedDir, name, err); err != nil {
				return 0, err
			}
			continue
		}
		item.Reason = ""
		if err := w.writeItem(outboxDir, item); err != nil {
			return 0, fmt.Errorf("taking up a refused statement: %w", err)
		}
		item.Bundle = nil
		w.outbox[name] = item
		next.Skipped = without(next.Skipped, []attestation.Digest{item.Payload})
		next.Remove = append(next.Remove, filepath.Join(refusedDir, name))
	}
	return len(next.Remove) - 1, w.commit(&next)
}
