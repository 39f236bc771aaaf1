package command

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter/relay"
)

// accounts is what became of all documents, of their rows, and of the other files.
type accounts struct {
	Documents  int            `json:"documents"`
	Accepted   int            `json:"accepted"` // and counts
	Kept       int            `json:"kept"`     // and does not count
	Refused    int            `json:"refused"`
	Failed     int            `json:"failed"`     // not read, or not proven to be in the log
	Duplicates int            `json:"duplicates"` // of those accepted and kept
	States     map[string]int `json:"states"`     // of those accepted and kept, by their signatures
	Exceptions []exception    `json:"exceptions"` // all that were not accepted, in order
	Rows       rowAccounts    `json:"rows"`
	Unread     []unread       `json:"unread"` // the documents with rows that could not be read
	Files      fileAccounts   `json:"files"`
	Others     []otherFile    `json:"others"` // the files that are no document, signature or key

	later  int    // refused for now
	texts  int    // documents with rows, read or not
	wanted string // what is looked for
	seen   map[string]struct{}
}

type exception struct {
	Document string `json:"document"`
	Outcome  string `json:"outcome"` // kept, refused, failed
	Reason   string `json:"reason"`
}

// rowAccounts adds up: Total is the sum of the others.
type rowAccounts struct {
	Total      int `json:"total"`
	Judged     int `json:"judged"`
	Ambiguous  int `json:"ambiguous"`  // of a name with several digests in the document
	Unread     int `json:"unread"`     // not written so that they can be read
	NotCounted int `json:"notCounted"` // of documents that were not accepted
}

type unread struct {
	Document string `json:"document"`
	Rows     int    `json:"rows"`
	Line     int    `json:"line"` // of the first
	Reason   string `json:"reason"`
}

// fileAccounts adds up likewise. A file with documents is one, however many they are.
type fileAccounts struct {
	Total      int `json:"total"`
	Documents  int `json:"documents"` // read or not
	Signatures int `json:"signatures"`
	Keys       int `json:"keys"`
	Others     int `json:"others"`
}

type otherFile struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// newAccounts returns the accounts of a relay that looks for something.
func newAccounts(wanted string) *accounts {
	return &accounts{States: map[string]int{}, Exceptions: []exception{}, Unread: []unread{}, Others: []otherFile{}, wanted: wanted, seen: map[string]struct{}{}}
}

// note takes a file that is no document.
func (s *accounts) note(f relay.Other) {
	s.Files.Total++
	switch {
	case f.Key:
		s.Files.Keys++
	case f.Signature:
		s.Files.Signatures++
	default:
		s.Files.Others++
		s.Others = append(s.Others, otherFile{f.Path, f.Reason})
	}
}

func (s *accounts) add(d *relay.Document, a *relay.Answer) {
	s.Documents++
	if _, again := s.seen[d.Name]; !again {
		s.seen[d.Name] = struct{}{}
		s.Files.Total++
		s.Files.Documents++
	}
	outcome, reason := s.outcomeOf(a)
	if outcome != "" {
		s.Exceptions = append(s.Exceptions, exception{d.Name, outcome, reason})
	}
	s.addRows(d, outcome == "")
	if a.Receipt == nil {
		return
	}
	s.States[a.State]++
	if a.Duplicate {
		s.Duplicates++
	}
}

// outcomeOf counts an answer. The outcome is empty of a document that was accepted.
func (s *accounts) outcomeOf(a *relay.Answer) (outcome, reason string) {
	refusal, refused := errors.AsType[*relay.Refusal](a.Err)
	switch {
	case refused:
		s.Refused++
		return "refused", refusal.Error()
	case a.Err != nil:
		s.Failed++
		return "failed", a.Err.Error()
	case a.Problem != nil:
		s.Refused++
		if !a.Problem.Permanent() {
			s.later++
		}
		return "refused", a.Problem.Detail
	case a.Reason != "":
		s.Kept++
		return "kept", a.Reason
	default:
		s.Accepted++
		return "", ""
	}
}

func (s *accounts) addRows(d *relay.Document, accepted bool) {
	if d.Rows == nil {
		return
	}
	s.texts++
	s.Rows.Total += d.Rows.Total
	s.Rows.Ambiguous += d.Rows.AmbiguousRows
	s.Rows.Unread += d.Rows.Unread()
	if readable := d.Rows.Read - d.Rows.AmbiguousRows; accepted {
		s.Rows.Judged += readable
	} else {
		s.Rows.NotCounted += readable
	}
	if len(d.Rows.Rejected) > 0 {
		first := d.Rows.Rejected[0]
		s.Unread = append(s.Unread, unread{d.Name, d.Rows.Unread(), first.Line, first.Reason})
	}
}

// outcome is the error that ends the command, nil if all is well.
func (s *accounts) outcome() error {
	switch {
	case s.Documents == 0:
		return fmt.Errorf("no document was found among %d files: looked for %s", s.Files.Total, s.wanted)
	case s.texts > 0 && s.Rows.Unread == s.Rows.Total:
		return fmt.Errorf("no row was read in any of %d documents: looked for rows of sha256sum", s.Documents)
	case s.Refused > s.later || s.Failed > 0:
		return cli.Exit(cli.Failure)
	case s.later > 0:
		return cli.Exit(exitTryLater)
	}
	return nil
}

func (s *accounts) String() string {
	return fmt.Sprintf("%d documents: %d accepted, %d kept and not counted, %d refused, %d failed", s.Documents, s.Accepted, s.Kept, s.Refused, s.Failed)
}

// print tells the sums, and what was not accepted: reasons of documents that were
// kept, and of files that are none, once each, because they are many of few kinds.
func (s *accounts) print(env *cli.Env, asJSON bool) error {
	for _, e := range s.Exceptions {
		if e.Outcome != "kept" {
			fmt.Fprintf(env.Stderr, "%s %q: %s\n", e.Outcome, e.Document, e.Reason)
		}
	}
	for _, u := range s.Unread {
		fmt.Fprintf(env.Stderr, "not read: %d rows of %q; the first, in line %d: %s\n", u.Rows, u.Document, u.Line, u.Reason)
	}
	if asJSON {
		return cli.JSONLine(env.Stdout, s)
	}
	return s.printText(env.Stdout)
}

func (s *accounts) printText(w io.Writer) error {
	kept, others := grouped{}, grouped{}
	for _, e := range s.Exceptions {
		if e.Outcome == "kept" {
			kept.add(e.Reason, e.Document)
		}
	}
	for _, o := range s.Others {
		others.add(o.Reason, o.File)
	}
	lines := append([]string{s.String()}, kept.lines("kept")...)
	if s.Rows.Total > 0 {
		lines = append(lines, fmt.Sprintf("%d rows: %d judged, %d ambiguous, %d not readable, %d of documents that do not count",
			s.Rows.Total, s.Rows.Judged, s.Rows.Ambiguous, s.Rows.Unread, s.Rows.NotCounted))
	}
	if s.Files.Total > s.Documents {
		lines = append(lines, fmt.Sprintf("%d files: %d with documents, %d signatures, %d keys, %d others",
			s.Files.Total, s.Files.Documents, s.Files.Signatures, s.Files.Keys, s.Files.Others))
		lines = append(lines, others.lines("no documents")...)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// grouped is how many things have a reason, and the first of them.
type grouped map[string]*struct {
	n     int
	first string
}

func (g grouped) add(reason, name string) {
	if g[reason] == nil {
		g[reason] = &struct {
			n     int
			first string
		}{first: name}
	}
	g[reason].n++
}

func (g grouped) lines(word string) []string {
	var lines []string
	for reason, of := range g {
		lines = append(lines, fmt.Sprintf("  %d %s: %s (%q%s)", of.n, word, reason, of.first, map[bool]string{true: ", …"}[of.n > 1]))
	}
	slices.Sort(lines)
	return lines
}
