package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/internal/durable"
)

// Status is what a spool holds, for people and monitoring.
type Status struct {
	Waiting int `json:"waiting"` // records not yet in a statement
	Outbox  int `json:"outbox"`  // statements not yet acknowledged
	// Retained are records of outputs that are in none of the chosen package sets
	// yet.
	Retained int `json:"retained"`

	// Copies are statements that the ledger has, and that are sent again should it lose
	// them.
	Copies int `json:"copies"`

	Acknowledged Acknowledged `json:"acknowledged"`
	KeptPrivate  uint64       `json:"keptPrivate"` // outputs that will not be sent
	Refused      []Refused    `json:"refused"`
	Corrupt      []string     `json:"corrupt"`  // files set aside
	Problems     []Problem    `json:"problems"` // the newest last
	Contact      *Contact     `json:"contact,omitempty"`
	// Convictions are files with proofs that the aggregator signed two histories.
	Convictions []string `json:"convictions,omitempty"`
}

// Refused is a statement that the aggregator refused for good.
type Refused struct {
	Sequence uint64 `json:"sequence"`
	Outputs  uint64 `json:"outputs"`
	Reason   string `json:"reason"`
}

// A Problem is something that went wrong in a program without a terminal.
type Problem struct {
	At      time.Time `json:"at"`
	In      string    `json:"in"` // "hook nix", "run", …
	Message string    `json:"message"`
}

// Contact is the last attempt to deliver.
type Contact struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
	// Held are the statements of the outbox that the aggregator did not take, for what is
	// not in them; Error has the reason.
	Held int `json:"held,omitzero"`
}

const (
	problemsFile   = "problems.log"
	contactFile    = "contact.json"
	maxProblemSize = 2 << 10   // bytes of a message
	maxProblems    = 128 << 10 // bytes of the file, after which it is begun anew
	shownProblems  = 20
)

// Report keeps a problem for [Spool.Status]. That it cannot is no error of the
// caller's: it reports because something is wrong already.
func (s *Spool) Report(in, message string) {
	if len(message) > maxProblemSize {
		message = message[:maxProblemSize]
	}
	line, err := json.Marshal(Problem{At: time.Now().UTC().Truncate(time.Second), In: in, Message: string(bytes.ToValidUTF8([]byte(message), nil))})
	if err != nil {
		return
	}
	path := filepath.Join(s.dir, problemsFile)
	if info, err := os.Lstat(path); err == nil && info.Size() > maxProblems {
		_ = os.Rename(path, path+".old")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644) //nolint:gosec // the directory is private
	if err != nil {
		return
	}
	_, _ = f.Write(append(line, '\n'))
	_ = f.Close()
}

// SetContact keeps the result of an attempt to deliver for [Spool.Status]: how many
// statements were held, and what went wrong.
func (w *Writer) SetContact(held int, err error) error {
	c := Contact{At: time.Now().UTC().Truncate(time.Second), Held: held}
	if err != nil {
		c.Error = err.Error()
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.withRoom(func() error { return durable.WriteFile(filepath.Join(w.dir, contactFile), data, 0o600) })
}

// Status reads what the spool holds. It takes no lock: what changes meanwhile
// may show before or after.
func (s *Spool) Status() (*Status, error) {
	result := &Status{Corrupt: []string{}}
	st, err := s.readState()
	if ignoreMissing(err) != nil {
		return nil, err
	}
	if st != nil {
		result.Acknowledged, result.KeptPrivate = st.Acknowledged, st.Private
	}
	queue, err := s.list(queueDir)
	if err != nil {
		return nil, err
	}
	outbox, err := s.list(outboxDir)
	if err != nil {
		return nil, err
	}
	result.Waiting, result.Outbox = len(queue), len(outbox)
	if result.Retained, err = s.Retained(); err != nil {
		return nil, err
	}
	refused, err := s.list(refusedDir)
	if err != nil {
		return nil, err
	}
	if result.Refused, err = s.readRefused(refused); err != nil {
		return nil, err
	}
	if result.Corrupt, err = s.list(corruptDir); err != nil {
		return nil, err
	}
	if result.Problems, err = s.problems(); err != nil {
		return nil, err
	}
	copies, err := s.list(sentDir)
	if err != nil {
		return nil, err
	}
	result.Copies = len(copies)
	if result.Convictions, err = s.convictions(); err != nil {
		return nil, err
	}
	result.Contact, err = s.contact()
	return result, err
}

// readRefused reads what was refused, but for what was taken away meanwhile.
func (s *Spool) readRefused(names []string) ([]Refused, error) {
	refused := []Refused{}
	for _, name := range names {
		item, err := s.readItem(refusedDir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s/%s: %w", refusedDir, name, err)
		}
		refused = append(refused, Refused{Sequence: item.Sequence, Outputs: item.Outputs, Reason: item.Reason})
	}
	return refused, nil
}

func (s *Spool) problems() ([]Problem, error) {
	data, err := s.read(2*maxProblems, problemsFile)
	if ignoreMissing(err) != nil {
		return nil, err
	}
	problems := []Problem{}
	for line := range bytes.Lines(data) {
		var p Problem
		if json.Unmarshal(line, &p) == nil {
			problems = append(problems, p)
		}
	}
	return problems[max(0, len(problems)-shownProblems):], nil
}

func (s *Spool) contact() (*Contact, error) {
	data, err := s.read(1<<20, contactFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c Contact
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("reading %s: %w", contactFile, err)
	}
	return &c, nil
}
