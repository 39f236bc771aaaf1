package pkgset

import "fmt"

// Skipped counts the lines of a list that could not be read. They are reported
// beside what was read, and take none of it away.
type Skipped struct {
	Count int `json:"count"`
	// Line and Reason are of the first of them.
	Line   int    `json:"line,omitzero"` // from 1; 0: the document's lines say nothing
	Reason string `json:"reason,omitempty"`
}

// Add counts a line that was not read.
func (s *Skipped) Add(line int, reason error) {
	if s.Count == 0 {
		s.Line, s.Reason = line, reason.Error()
	}
	s.Count++
}

// Say returns a sentence, without its full stop, about how many could not be read
// of what the noun calls one: "line", "path".
func (s *Skipped) Say(noun string) string {
	at := s.Reason
	if s.Line > 0 {
		at = fmt.Sprintf("line %d: %s", s.Line, s.Reason)
	}
	if s.Count == 1 {
		return fmt.Sprintf("1 %s could not be read: %s", noun, at)
	}
	return fmt.Sprintf("%d %ss could not be read; the first: %s", s.Count, noun, at)
}
