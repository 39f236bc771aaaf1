package dashboard

import (
	"strings"
	"unicode"

	"repronet.dev/ecosystem"
)

// A command is something to copy into a shell.
type command struct {
	Says string // what it does
	Text string
}

// quote writes a word for a POSIX shell. What no command should contain, a
// control character, or a dash in front that would make the word an option,
// makes it fail.
func quote(word string) (quoted string, ok bool) {
	if word == "" || word[0] == '-' || strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", false
	}
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/.-_+@:=,%", r)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word, true
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'", true
}

// shell writes a command line in which each NUL stands for a word of untrusted
// origin. It returns nothing where one of them cannot be written.
func shell(says, line string, words ...string) []command {
	for _, word := range words {
		quoted, ok := quote(word)
		if !ok {
			return nil
		}
		line = replaceFirst(line, quoted)
	}
	return []command{{says, line}}
}

// replaceFirst fills the first place, marked so that no word can contain it.
func replaceFirst(line, word string) string {
	before, after, _ := strings.Cut(line, "\x00")
	return before + word + after
}

// rebuildCommands are how to make the outputs of a build again.
func rebuildCommands(b *Build) []command {
	outputs := make([]ecosystem.Output, len(b.Outputs))
	for i, o := range b.Outputs {
		outputs[i] = ecosystem.Output{Name: o.Output, Key: o.Key}
	}
	var commands []command
	for _, c := range ecosystem.Of(b.Ecosystem).Rebuild(b.Name, outputs) {
		commands = append(commands, shell(c.Says, c.Line, c.Words...)...)
	}
	return commands
}

// verifyCommands are how to check the page's verdicts without believing it.
func verifyCommands(b *Build, aggregator string) []command {
	commands := shell("Once: say which log and which builders you believe. It shows their keys and asks.",
		"repronet-verify pin --aggregator \x00", aggregator)
	var outputs, rest []Output // what diverged is what people want to check
	for _, o := range b.Outputs {
		if o.Shape != "" {
			outputs = append(outputs, o)
		} else {
			rest = append(rest, o)
		}
	}
	outputs = append(outputs, rest...)
	for _, o := range outputs[:min(len(outputs), 2)] {
		line, words := "repronet-verify output \x00 --quorum 2", []string{o.Key}
		if b.Ecosystem != ecosystem.OfKey(o.Key) {
			line, words = line+" --ecosystem \x00", append(words, b.Ecosystem)
		}
		commands = append(commands, shell("Check "+label(o.OutputRow)+" in your own copy of the ledger.", line, words...)...)
	}
	return commands
}

// beginCommands are what to do at an aggregator that has seen nothing yet.
func beginCommands(aggregator string) []command {
	var commands []command
	commands = append(commands, shell("On the machine that builds: make a key and say where reports go. It prints the builder's public key.",
		"repronet-reporter init --aggregator \x00 --operator YOUR-NAME --report all", aggregator)...)
	commands = append(commands, shell("At the aggregator: enrol that key.",
		"repronet-aggregator builders enrol --key builder.pem --operator YOUR-NAME")...)
	commands = append(commands, shell("Build something, attest what came out, and send it.",
		"repronet-reporter exec --build YOUR-NAME/hello --output out=./hello -- go build -o ./hello .\nrepronet-reporter run --once")...)
	return commands
}

// suggestedCommands are how to build what an aggregator suggests of a package set.
func suggestedCommands(aggregator, set string) []command {
	commands := shell("Once: say where reports go.", "repronet-reporter init --aggregator \x00 --operator YOUR-NAME --sets \x00", aggregator, set)
	commands = append(commands, shell("Once: ask to be enrolled. A person decides.", "repronet-reporter enrol")...)
	return append(commands, shell("Build what is suggested to you, of what your Nix store has the derivations of, and send what came out.",
		"repronet-reporter rebuild --suggested 20\nrepronet-reporter run --once")...)
}
