package console

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxText   = 16 << 10 // bytes of a query
	maxTokens = 4000
	maxNested = 50 // brackets in brackets: parsers call themselves for each
	maxName   = 200
)

// A SyntaxError says what of a query is refused, and where.
type SyntaxError struct {
	Line, Column int // counted from 1, in characters
	Reason       string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

type tokenKind int

const (
	word   tokenKind = iota // a name or keyword without quotes
	quoted                  // a name in quotes
	number
	literal // a string
	symbol
)

// A token is a piece of a query as the engine is going to read it.
type token struct {
	kind tokenKind
	text string // canonical, quotes included
	at   int    // its place in the query, in bytes
	end  int    // where it ends there
}

// is reports whether the token is a keyword or symbol.
func (t token) is(text string) bool {
	return (t.kind == word || t.kind == symbol) && strings.EqualFold(t.text, text)
}

// A lexer takes a query apart. Two parsers read what it makes, ours and the engine's, so it
// lets only through what both read the same way: no comment, one spelling of quotes and
// escapes, and no character that one of them might skip.
type lexer struct {
	text   string
	at     int
	nested int
	tokens []token
}

func (l *lexer) refuse(at int, format string, args ...any) error {
	before := l.text[:at]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &SyntaxError{line, column, fmt.Sprintf(format, args...)}
}

// lex takes a query apart.
func lex(text string) (*lexer, error) {
	l := &lexer{text: text}
	if len(text) > maxText {
		return l, &SyntaxError{1, 1, fmt.Sprintf("the query has %d bytes, and at most %d are read", len(text), maxText)}
	}
	if !utf8.ValidString(text) {
		return l, &SyntaxError{1, 1, "the query is not valid UTF-8"}
	}
	for {
		if err := l.skip(); err != nil {
			return l, err
		}
		if l.at == len(l.text) {
			return l, nil
		}
		if len(l.tokens) == maxTokens {
			return l, l.refuse(l.at, "the query has more than %d words and signs", maxTokens)
		}
		t, err := l.next()
		if err != nil {
			return l, err
		}
		l.tokens = append(l.tokens, t)
	}
}

// skip passes over space and comments.
func (l *lexer) skip() error {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.ContainsRune(" \t\r\n", rune(rest[0])):
			l.at++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.refuse(l.at, "the comment has no end: write */ behind it")
			}
			if strings.Contains(rest[2:2+end], "/*") {
				return l.refuse(l.at, "a comment in a comment is not taken")
			}
			l.at += 2 + end + 2
		default:
			return nil
		}
	}
	return nil
}

// next reads the token that begins here.
func (l *lexer) next() (token, error) {
	first := l.text[l.at]
	t := token{at: l.at}
	var err error
	switch {
	case isLetter(first):
		t.kind, t.text = word, l.take(func(c byte) bool { return isLetter(c) || isDigit(c) })
	case isDigit(first):
		t.kind = number
		t.text, err = l.number()
	case first == '\'':
		t.kind = literal
		t.text, err = l.literal()
	case first == '"' || first == '`':
		t.kind = quoted
		t.text, err = l.quoted(first)
	default:
		t.kind = symbol
		t.text, err = l.symbol()
	}
	t.end = l.at
	return t, err
}

func (l *lexer) take(of func(byte) bool) string {
	begin := l.at
	for l.at < len(l.text) && of(l.text[l.at]) {
		l.at++
	}
	return l.text[begin:l.at]
}

// number reads digits, with a fraction and an exponent, or 0x and hexadecimal digits.
func (l *lexer) number() (string, error) {
	begin := l.at
	if strings.HasPrefix(l.text[l.at:], "0x") {
		l.at += 2
		if l.take(isHex) == "" {
			return "", l.refuse(begin, "digits are missing behind 0x")
		}
	} else {
		l.take(isDigit)
		if l.peek(0) == '.' && isDigit(l.peek(1)) {
			l.at++
			l.take(isDigit)
		}
		if sign := l.peek(1); l.peek(0)|0x20 == 'e' && (isDigit(sign) || (sign == '+' || sign == '-') && isDigit(l.peek(2))) {
			l.at += 2
			l.take(isDigit)
		}
	}
	if isLetter(l.peek(0)) {
		return "", l.refuse(begin, "a number ends where a letter begins: put a space between them, or quotes around a name")
	}
	return l.text[begin:l.at], nil
}

// peek returns the byte that many places ahead, 0 behind the end.
func (l *lexer) peek(ahead int) byte {
	if l.at+ahead >= len(l.text) {
		return 0
	}
	return l.text[l.at+ahead]
}

// escapes are the ones that are read in a string; a backslash before a sign that is no letter
// or digit stays one, as patterns want it.
var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\''}

// literal reads a string and writes it with one spelling of everything in it.
func (l *lexer) literal() (string, error) {
	begin := l.at
	var value strings.Builder
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == '\'' && l.peek(1) == '\'':
			l.at++
			value.WriteByte('\'')
		case c == '\'':
			l.at++
			return "'" + literalEscapes.Replace(value.String()) + "'", nil
		case c == '\\':
			meant, known := escapes[l.peek(1)]
			switch {
			case known:
				value.WriteByte(meant)
				l.at++
			case isLetter(l.peek(1)) && !strings.ContainsRune("abefvxN", rune(l.peek(1))):
				value.WriteByte('\\') // \d and its like, of patterns
			case isLetter(l.peek(1)) || isDigit(l.peek(1)):
				return "", l.refuse(l.at, `the escape \%c is not taken: write \\%[1]c for a backslash and what follows it`, l.peek(1))
			default:
				value.WriteByte('\\')
			}
		case c < ' ' && !strings.ContainsRune("\t\n\r", rune(c)) || c == 0x7f:
			return "", l.refuse(l.at, "there is a control character in the string")
		default:
			value.WriteByte(c)
		}
	}
	return "", l.refuse(begin, "the string has no end: write ' behind it, and '' for an apostrophe in it")
}

var literalEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`)

// quoted reads a name in quotes.
func (l *lexer) quoted(quote byte) (string, error) {
	begin := l.at
	l.at++
	name := l.take(func(c byte) bool { return c >= ' ' && c != 0x7f && !strings.ContainsRune("\\`\"", rune(c)) })
	if l.peek(0) != quote {
		return "", l.refuse(begin, "the name in quotes has no end, or a sign in it that names cannot have")
	}
	l.at++
	if name == "" || len(name) > maxName {
		return "", l.refuse(begin, "a name has 1 to %d bytes", maxName)
	}
	return "`" + name + "`", nil
}

var symbols = []string{"::", "->", "||", "<=", ">=", "<>", "!=", "==", "(", ")", "[", "]", ",", ".", "+", "-", "*", "/", "%", "<", ">", "=", "?", ":", ";"}

func (l *lexer) symbol() (string, error) {
	for _, s := range symbols {
		if !strings.HasPrefix(l.text[l.at:], s) {
			continue
		}
		switch s {
		case "(", "[":
			if l.nested++; l.nested > maxNested {
				return "", l.refuse(l.at, "brackets are nested more than %d deep", maxNested)
			}
		case ")", "]":
			l.nested--
		}
		l.at += len(s)
		return s, nil
	}
	sign, _ := utf8.DecodeRuneInString(l.text[l.at:])
	return "", l.refuse(l.at, "the sign %q has no meaning here", sign)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
