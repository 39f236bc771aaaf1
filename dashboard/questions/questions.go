// Package questions has the questions that people ask of a snapshot, each as a query in SQL
// over the documented views (package snapshot), with what it answers and what it is a share
// of.
//
// Start here: [All].
//
// A question is a file of its own, NAME.sql. It begins with comments, each a line:
//
//	-- title: what the question is
//	-- answers: what the result says
//	-- denominator: what shares in it are of, and what is in none of them
//	-- chart: line, bar, heatmap or histogram
package questions

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.sql
var files embed.FS

// A Question is one of those that people ask.
type Question struct {
	Name        string // of its file and its page, without .sql
	Title       string
	Answers     string
	Denominator string
	Chart       string
	SQL         string // without the comments at the beginning
}

// order is in which the questions are shown.
var order = []string{
	"rate-by-month", "builder-pairs", "half-life", "second-opinion", "lone-dissenters", "traits", "survival-of-fixes", "environment-distance",
}

// All returns the questions in the order in which they are shown. A file that does not say
// what it has to is a mistake of this package, and an error.
func All() ([]Question, error) {
	entries, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	if len(entries) != len(order) {
		return nil, fmt.Errorf("there are %d questions, and %d have a place", len(entries), len(order))
	}
	all := make([]Question, len(order))
	for i, name := range order {
		text, err := files.ReadFile(name + ".sql")
		if err != nil {
			return nil, err
		}
		if all[i], err = parse(name, string(text)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parse reads the comments at the beginning of a file.
func parse(name, text string) (Question, error) {
	q := Question{Name: name}
	said := map[string]*string{"title": &q.Title, "answers": &q.Answers, "denominator": &q.Denominator, "chart": &q.Chart}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		comment, ok := strings.CutPrefix(lines.Text(), "-- ")
		if !ok {
			break
		}
		key, value, _ := strings.Cut(comment, ": ")
		field := said[key]
		if field == nil {
			return q, fmt.Errorf("question %s: %q is nothing that a question says", name, key)
		}
		*field = value
		text = text[len(lines.Text())+1:]
	}
	q.SQL = strings.TrimSpace(text)
	if q.Title == "" || q.Answers == "" || q.Denominator == "" || q.SQL == "" || !slices.Contains([]string{"line", "bar", "heatmap", "histogram"}, q.Chart) {
		return q, fmt.Errorf("question %s does not say all that it has to: title, answers, denominator, chart, and a query", name)
	}
	return q, nil
}
