package cli

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// A Manual is the manual pages of a program, made from the texts that its help prints.
type Manual struct {
	Program *Program
	Version string    // of the program, for the foot of each page
	Date    time.Time // of that version
}

// Pages returns the manual's pages of section 1 by name: one of the program, and one of
// each command ("repronet-verify-output").
func (m *Manual) Pages() map[string][]byte {
	pages := map[string][]byte{m.Program.Name: m.page(m.Program.Name, m.Program.help)}
	for _, c := range m.Program.all() {
		name := m.Program.Name + "-" + strings.ReplaceAll(c.Name, " ", "-")
		pages[name] = m.page(name, func(w io.Writer) { m.Program.commandHelp(w, &c) })
	}
	return pages
}

// page translates a help text to the macros of man(7).
func (m *Manual) page(name string, help func(io.Writer)) []byte {
	var text, page bytes.Buffer
	help(&text)
	fmt.Fprintf(&page, ".TH %s 1 %s %s\n.nh\n.ad l\n", roff(strings.ToUpper(name)), roff(m.Date.UTC().Format(time.DateOnly)), roff("repronet "+m.Version))
	// The first line of a page names it in one word: indexes of manuals are made from that.
	_, rest, _ := strings.Cut(text.String(), " - ")
	for _, block := range blocks("NAME\n  " + name + " - " + rest) {
		block.write(&page)
	}
	return page.Bytes()
}

// A block is lines of a help text that belong together: a heading, a paragraph, an option
// with what is said about it, or lines that stay as they are.
type block struct {
	macro string
	lines []string
}

var (
	heading   = regexp.MustCompile(`^[A-Z][A-Z ]*$`)
	option    = regexp.MustCompile(`^ {2}-`)
	paragraph = regexp.MustCompile(`^ {2}\S`)
	// columns are in lines whose words stand below each other.
	columns = regexp.MustCompile(`\S {2,}\S`)
)

// blocks divides a help text.
func blocks(text string) (found []block) {
	options := false
	for part := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.Trim(part, "\n"), "\n")
		if heading.MatchString(lines[0]) {
			options = lines[0] == "OPTIONS"
			found = append(found, block{".SH", lines[:1]})
			lines = lines[1:]
		}
		switch {
		case len(lines) == 0:
		case options:
			found = append(found, optionsOf(lines)...)
		case isParagraph(lines):
			found = append(found, block{".PP", lines})
		default:
			found = append(found, block{".nf", lines})
		}
	}
	return found
}

func optionsOf(lines []string) (found []block) {
	for _, line := range lines {
		if option.MatchString(line) {
			found = append(found, block{macro: ".TP"})
		}
		last := &found[len(found)-1]
		last.lines = append(last.lines, line)
	}
	return found
}

// isParagraph reports whether lines are running text. A command that stands alone in a line
// is none: it has no end.
func isParagraph(lines []string) bool {
	for _, line := range lines {
		if !paragraph.MatchString(line) || columns.MatchString(line) {
			return false
		}
	}
	last := lines[len(lines)-1]
	return len(lines) == 1 || strings.HasSuffix(last, ".") || strings.HasSuffix(last, ":")
}

func (b *block) write(w io.Writer) {
	if b.macro == ".SH" {
		fmt.Fprintf(w, ".SH %s\n", roff(b.lines[0]))
		return
	}
	if b.macro == ".nf" {
		fmt.Fprintln(w, ".PP")
	}
	fmt.Fprintln(w, b.macro)
	for _, line := range b.lines {
		if b.macro != ".nf" {
			line = strings.TrimSpace(line)
		}
		fmt.Fprintln(w, escape(strings.TrimPrefix(line, "  ")))
	}
	if b.macro == ".nf" {
		fmt.Fprintln(w, ".fi")
	}
}

// escape has roff print a line as it is: no request, no escape sequence, and a hyphen that
// can be copied as one.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\`").Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

// roff returns one argument of a macro.
func roff(argument string) string {
	return `"` + strings.ReplaceAll(escape(argument), `"`, `\(dq`) + `"`
}
