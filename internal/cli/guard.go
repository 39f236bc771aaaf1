package cli

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A guard writes text so that nothing in it acts on a terminal: control characters
// other than line end and tab, those that turn the direction of text, invisible
// ones are written as JSON's escapes (\u001b, \u202e), which leave a JSON document one:
// there they can only stand in a string. Bytes that are no UTF-8, which are in no JSON
// document, are written as Go's (\xff). All that a program prints goes through it, since
// names, reasons and problem texts of peers are in most of it.
type guard struct {
	w io.Writer

	mu   sync.Mutex // guards what is below
	rest []byte     // the beginning of a character whose end is not written yet
}

// Write implements io.Writer.
func (g *guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := append(g.rest, p...)
	g.rest = nil
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			g.rest = text
			break
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
		case acts(r):
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	if _, err := g.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// acts reports whether a character does something in place of being shown.
func acts(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

// Plain returns text of which nothing acts on a terminal, as everything is that a program prints.
func Plain(text string) string {
	var plain bytes.Buffer
	_, _ = (&guard{w: &plain}).Write([]byte(text)) // to memory
	return plain.String()
}

// guarded returns the world with both streams behind guards.
func (e *Env) guarded() *Env {
	return &Env{Stdin: e.Stdin, Stdout: &guard{w: e.Stdout}, Stderr: &guard{w: e.Stderr}}
}

// Unguarded returns the stream behind a guard, for what writes control characters
// of its own, and for programs that the user named.
func Unguarded(w io.Writer) io.Writer {
	if g, ok := w.(*guard); ok {
		return g.w
	}
	return w
}
