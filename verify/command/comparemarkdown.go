package command

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"repronet.dev/verify/compare"
)

// A markdown is a comment that is being written. Names come from strangers, so they are
// only ever written by [code] and [text].
type markdown struct {
	strings.Builder
	// left is how many bytes lists may still have.
	left int
}

// maxMarkdown bounds a comment, in bytes: GitHub takes 65,536 characters, and so does no
// forge less. What stands around lists is much shorter than the difference.
const maxMarkdown = 60_000

// maxListed bounds how many outputs a list of a comment names.
const maxListed = 100

// markdown writes the result as a comment for a pull request.
func (r *compareResult) markdown() string {
	m := &markdown{left: maxMarkdown}
	compared := r.Counts.Compared
	switch {
	case compared.Regressed > 0:
		fmt.Fprintf(m, "**Reproducibility: %d of %d compared outputs regressed**\n", compared.Regressed, compared.Outputs)
	case compared.Outputs > 0:
		fmt.Fprintf(m, "**Reproducibility: none of %d compared outputs regressed**\n", compared.Outputs)
	default:
		m.WriteString("**Reproducibility: nothing could be compared yet**\n")
	}
	for _, list := range []struct {
		heading string
		class   compare.Class
	}{
		{"Regressed: reproduced in BASE, diverged in HEAD", compare.Regressed},
		{"New in HEAD, and diverged", compare.New},
		{"Fixed: diverged in BASE, reproduced in HEAD", compare.Fixed},
	} {
		m.list(list.heading, list.class, r.Changes)
	}
	m.WriteString("\nIn numbers:\n\n")
	for _, line := range r.sentences() {
		fmt.Fprintf(m, "- %s\n", text(line))
	}
	for _, side := range []struct {
		name string
		read *listRead
	}{{"BASE", &r.Base}, {"HEAD", &r.Head}} {
		if n := side.read.Failed; n > 0 {
			fmt.Fprintf(m, "- attributes of %s that could not be evaluated: %d\n", side.name, n)
		}
		if n := side.read.Skipped.Count; n > 0 {
			fmt.Fprintf(m, "- parts of %s that could not be read: %d\n", side.name, n)
		}
	}
	fmt.Fprintf(m, "\nJudged from %d ledger entries, the last of %s.\n", r.Searched.Entries, text(r.Searched.Latest.Format(time.RFC3339)))
	return m.String()
}

// list writes a list of the outputs of a class that are told of, if there is one.
func (m *markdown) list(heading string, class compare.Class, entries []comparedEntry) {
	var told []*comparedEntry
	for i := range entries {
		if e := &entries[i]; e.Class == class && e.told() {
			told = append(told, e)
		}
	}
	if len(told) == 0 {
		return
	}
	fmt.Fprintf(m, "\n%s (%d):\n\n", heading, len(told))
	for i, e := range told {
		item := listed(e)
		if i == maxListed || len(item) > m.left {
			fmt.Fprintf(m, "- … and %d more\n", len(told)-i)
			return
		}
		m.left -= len(item)
		m.WriteString(item)
	}
}

// listed is the list item of an output.
func listed(e *comparedEntry) string {
	var item strings.Builder
	fmt.Fprintf(&item, "- %s", code(e.Name))
	if e.System != "" {
		fmt.Fprintf(&item, " for %s", code(e.System))
	}
	if versions := e.versions(); versions != "" {
		fmt.Fprintf(&item, ", %s", code(versions))
	}
	fmt.Fprintf(&item, "\n  - HEAD: %s: %s\n", code(e.Head.Key), text(strings.Join(e.Head.Decision.Reasons, "; ")))
	if e.Base != nil {
		fmt.Fprintf(&item, "  - BASE: %s: %s\n", code(e.Base.Key), text(strings.Join(e.Base.Decision.Reasons, "; ")))
	}
	return item.String()
}

// code writes a name as a code span, in which nothing is markup, a mention, a reference or a
// link: between more backquotes than it has in a row (CommonMark, section 6.1). Code spans
// hold where they are not in a table, whose cells end at bars within them too.
func code(name string) string {
	name = oneLine(name)
	longest, row := 0, 0
	for _, r := range name {
		if r != '`' {
			row = 0
			continue
		}
		row++
		longest = max(longest, row)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || strings.HasPrefix(name, " ") || strings.HasSuffix(name, " ") {
		name = " " + name + " " // one of each side is taken off
	}
	return fence + name + fence
}

// text writes a sentence in which nothing is markup, for what this program words: punctuation
// that begins markup is escaped (CommonMark, section 2.4). Escaped or not, forges find mentions
// and references in text, except where a comment comes between.
func text(sentence string) string {
	var escaped strings.Builder
	for _, r := range oneLine(sentence) {
		if strings.ContainsRune("\\`*_{}[]<>#+!|~&@", r) {
			escaped.WriteByte('\\')
		}
		escaped.WriteRune(r)
		if r == '@' || r == '#' {
			escaped.WriteString("<!-- -->")
		}
	}
	return escaped.String()
}

// oneLine replaces what would end a line, or is no character.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if s == "" {
		return "\ufffd"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, s)
}
