package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress is a line on a terminal that says how far long work is. On anything
// but a terminal it says nothing. One goroutine uses it.
type Progress struct {
	terminal io.Writer // nil: none
	shown    time.Time
}

// NewProgress returns a progress line on stderr.
func NewProgress(stderr io.Writer) *Progress {
	f, ok := Unguarded(stderr).(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &Progress{}
	}
	return &Progress{terminal: f}
}

// Show replaces the line, a few times a second at most.
func (p *Progress) Show(format string, args ...any) {
	const interval = 100 * time.Millisecond
	if p.terminal == nil || time.Since(p.shown) < interval {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.terminal, "\r\x1b[K"+format, args...)
}

// Clear takes the line away, before something else is written or at the end.
func (p *Progress) Clear() {
	if p.terminal != nil {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}
