package spool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"repronet.dev/internal/durable"
)

// The directories of a spool.
const (
	queueDir    = "queue"
	retainedDir = "retained"
	outboxDir   = "outbox"
	refusedDir  = "refused"
	sentDir     = "sent"
	corruptDir  = "corrupt"
)

// A Spool is the directory as everybody on the machine may use it: to add
// records, to report problems and to look. It is safe for concurrent use.
type Spool struct{ dir string }

// Create makes the directories of a spool where they are missing, readable by
// their owner only.
func Create(dir string) (*Spool, error) {
	for _, name := range []string{queueDir, retainedDir, outboxDir, refusedDir, sentDir, corruptDir} {
		if err := durable.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("creating spool: %w", err)
		}
	}
	return Open(dir), nil
}

// Open returns the spool in a directory that [Create] made.
func Open(dir string) *Spool { return &Spool{dir: dir} }

// Put adds a record. When it returns nil, the record is on disk.
func (s *Spool) Put(r *Record) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("spooling record: %w", err)
	}
	for _, part := range r.split() {
		data, err := part.encode()
		if err != nil {
			return fmt.Errorf("spooling record: %w", err)
		}
		if len(data) > maxRecordSize {
			return fmt.Errorf("spooling record: %d bytes are more than %d", len(data), maxRecordSize)
		}
		// The directory is the owner's alone; the file is readable so that a
		// hook that runs as root can write for a service that does not.
		if err := durable.WriteFile(filepath.Join(s.dir, queueDir, recordName()), data, 0o644); err != nil {
			return fmt.Errorf("spooling record: %w", err)
		}
	}
	return nil
}

// recordName sorts by time and never repeats.
func recordName() string {
	var random [8]byte
	rand.Read(random[:])
	return fmt.Sprintf("%016x-%s.json", time.Now().UnixNano(), hex.EncodeToString(random[:]))
}

// list returns the names of the JSON files in a directory of the spool, sorted.
func (s *Spool) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, dir))
	if (dir == retainedDir || dir == sentDir || dir == convictionsDir) && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the spool is of a release that retained nothing, or there never was any
	}
	if err != nil {
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".json") && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, nil
}

// read returns a file of the spool, which has at most limit bytes. Links, devices and
// pipes are none of the spool's, and are neither followed nor waited for.
func (s *Spool) read(limit int64, elem ...string) (data []byte, err error) {
	path := filepath.Join(append([]string{s.dir}, elem...)...)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has %d bytes, more than the %d that are ever written there", path, info.Size(), limit)
	}
	return data, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Waiting returns the number of records in the queue.
func (s *Spool) Waiting() (int, error) {
	names, err := s.list(queueDir)
	return len(names), err
}

// Left returns the number of records and statements that are still to be
// delivered.
func (s *Spool) Left() (int, error) {
	queue, err := s.list(queueDir)
	if err != nil {
		return 0, err
	}
	outbox, err := s.list(outboxDir)
	return len(queue) + len(outbox), err
}
