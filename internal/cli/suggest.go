package cli

import (
	"fmt"
	"strings"
)

// unknown answers a call of no command: with the commands that begin with its first
// word, or else the one whose name is nearest.
func (p *Program) unknown(env *Env, args []string) int {
	if family := p.family(args[0]); len(family) > 1 && len(args) == 1 {
		fmt.Fprintf(env.Stderr, "%s: %q is the beginning of several commands:\n", p.Name, args[0])
		list(env.Stderr, family)
		return Usage
	}
	fmt.Fprintf(env.Stderr, "%s: unknown command %q\n", p.Name, strings.Join(args[:min(2, len(args))], " "))
	if near := p.nearest(args); near != "" {
		fmt.Fprintf(env.Stderr, "Did you mean '%s %s'?\n", p.Name, near)
	}
	fmt.Fprintf(env.Stderr, "Run '%s help' for the list of commands.\n", p.Name)
	return Usage
}

// family returns the commands of several words whose first is this one.
func (p *Program) family(word string) (family []Command) {
	for _, c := range p.shown() {
		if strings.HasPrefix(c.Name, word+" ") {
			family = append(family, c)
		}
	}
	return family
}

// nearest returns the name of the command that args were most likely meant to begin
// with; empty if none is near.
func (p *Program) nearest(args []string) (name string) {
	best := -1
	for _, c := range p.shown() {
		words := len(strings.Fields(c.Name))
		typed := strings.Join(args[:min(words, len(args))], " ")
		d := distance(typed, c.Name)
		if strings.HasPrefix(c.Name, typed) {
			d = 1 // cut short, however much is missing
		}
		// A third of the letters may be wrong: more is another word.
		if d <= max(1, len(c.Name)/3) && (best < 0 || d < best) {
			name, best = c.Name, d
		}
	}
	return name
}

// distance is how many bytes have to be put in, taken out or replaced, or neighbours
// exchanged, to make b of a: the optimal string alignment distance.
func distance(a, b string) int {
	var beforeLast []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], beforeLast[j-1]+1)
			}
		}
		beforeLast, last = last, row
	}
	return last[len(b)]
}
