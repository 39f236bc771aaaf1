package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"repronet.dev/evidence/openpgp"
)

// maxControl bounds a control file, in bytes. Those of large packages have some 100 kB.
const maxControl = 8 << 20

// A paragraph is one of a control file, deb822(5): the values of fields by their names in
// lower case, continued lines with their line ends.
type paragraph map[string]string

// readControl reads a control file of one paragraph, which may be clearsigned.
func readControl(file string) (paragraph, error) {
	text, err := readFile(file, maxControl)
	if err != nil {
		return nil, err
	}
	if openpgp.IsClearsigned(text) {
		signed, err := openpgp.ParseClearsigned(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(signed) != 1 {
			return nil, fmt.Errorf("%s has %d signed texts, not one", file, len(signed))
		}
		text = signed[0].Text
	}
	p, err := parseParagraph(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// readFile reads a regular file of a bounded size. Pipes and devices are not waited for.
func readFile(file string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return text, err
}

func parseParagraph(text []byte) (paragraph, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	p := paragraph{}
	current, ended := "", false
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line := strings.TrimRight(string(line), "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			ended = ended || len(p) > 0
		case ended:
			return nil, fmt.Errorf("line %d: a second paragraph begins", number)
		case line[0] == ' ' || line[0] == '\t':
			if current == "" {
				return nil, fmt.Errorf("line %d continues nothing", number)
			}
			p[current] += "\n" + strings.TrimSpace(line)
		default:
			name, value, found := strings.Cut(line, ":")
			if !found || name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
				return nil, fmt.Errorf("line %d is no field", number)
			}
			current = strings.ToLower(name)
			if _, twice := p[current]; twice {
				return nil, fmt.Errorf("line %d: a second field %s", number, name)
			}
			p[current] = strings.TrimSpace(value)
		}
	}
	if len(p) == 0 {
		return nil, errors.New("it has no fields")
	}
	return p, nil
}

// lines returns the lines of a field that are not empty.
func (p paragraph) lines(field string) (lines []string) {
	for line := range strings.Lines(p[field]) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
