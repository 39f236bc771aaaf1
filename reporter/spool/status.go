package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"repronet/internal/durable"
)

// Status is what a spool holds, for people and monitoring.
type Status struct {
	Waiting int `json:"waiting"` // records not yet in a statement
	Outbox  int `json:"outbox"`  // statements not yet acknowledged

	Acknowledged Acknowledged `json:"acknowledged"`
	KeptPrivate  uint64       `json:"keptPrivate"` // outputs that will not be sent
	Refused      []Refused    `json:"refused"`
	Corrupt      []string     `json:"corrupt"`  // files set aside
	Problems     []Problem    `json:"problems"` // the newest last
	Contact      *Contact     `json:"contact,omitempty"`
}

// Refused is a statement that the aggregator refused for good.
type Refused struct {
	Sequence uint64 `json:"sequence"`
	Outputs  uint64 `json:"outputs"`
	Reason   string `json:"reason"`
}

// A Problem is something that went wrong where nobody was looking.
type Problem struct {
	At      time.Time `json:"at"`
	In      string    `json:"in"` // "hook nix", "run", …
	Message string    `json:"message"`
}

// Contact is the last attempt to deliver.
type Contact struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
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
	if info, err := os.Stat(path); err == nil && info.Size() > maxProblems {
		_ = os.Rename(path, path+".old")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // the directory is private
	if err != nil {
		return
	}
	_, _ = f.Write(append(line, '\n'))
	_ = f.Close()
}

// SetContact keeps the result of an attempt to deliver for [Spool.Status].
func (s *Spool) SetContact(err error) error {
	c := Contact{At: time.Now().UTC().Truncate(time.Second)}
	if err != nil {
		c.Error = err.Error()
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(s.dir, contactFile), data, 0o600)
}

// Status reads what the spool holds. It takes no lock: what changes meanwhile
// may show before or after.
func (s *Spool) Status() (*Status, error) {
	result := &Status{Refused: []Refused{}, Corrupt: []string{}}
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
	refused, err := s.list(refusedDir)
	if err != nil {
		return nil, err
	}
	for _, name := range refused {
		item, err := s.readItem(refusedDir, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s/%s: %w", refusedDir, name, err)
		}
		result.Refused = append(result.Refused, Refused{Sequence: item.Sequence, Outputs: item.Outputs, Reason: item.Reason})
	}
	if result.Corrupt, err = s.list(corruptDir); err != nil {
		return nil, err
	}
	if result.Problems, err = s.problems(); err != nil {
		return nil, err
	}
	result.Contact, err = s.contact()
	return result, err
}

func (s *Spool) problems() ([]Problem, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, problemsFile))
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
