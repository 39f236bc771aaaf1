package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/manifest/stabilize"
)

// Limits of a manifest. An output with more is told of by its digest alone.
const (
	MaxEntries = 1_000_000
	MaxDepth   = 512
	// MaxPath bounds a path, and the target of a link, in bytes as they are written here.
	MaxPath = 4096
	// MaxSize bounds the lines of a document in bytes: 100,000 files with usual names.
	MaxSize = 15 << 20
)

// ErrMalformed is wrapped by errors about what is no manifest, or not a document with one.
var ErrMalformed = errors.New("malformed manifest")

// ErrTooLarge is wrapped by errors about outputs that no manifest can list.
var ErrTooLarge = errors.New("too large for a manifest")

// A Manifest lists what is in an output.
type Manifest struct {
	// Entries begin with the output itself, whose path is ".". They are sorted by the names in
	// their paths, byte by byte: what is in a directory follows it.
	Entries []Entry
}

// An Entry is a file, directory or link of an output.
type Entry struct {
	// Path is below the output, with slashes, as [Quote] writes it; "." for the output.
	Path string `json:"path"`
	Type Type   `json:"type"`
	// Of a file: whether it can be executed, its size in bytes and the SHA-256 of its contents.
	Executable bool               `json:"executable,omitzero"`
	Size       int64              `json:"size,omitzero"`
	SHA256     attestation.Digest `json:"sha256,omitzero"`
	// Format is that of an archive or compressed file whose Members are listed, such as "zip" or
	// "tar+gzip"; in the order of the archive.
	Format  string   `json:"format,omitzero"`
	Members []Member `json:"members,omitempty"`
	// Stable is the digest of what counts of a file after the stabilizers, where some had
	// something to say.
	Stable *stabilize.Stable `json:"stable,omitzero"`
	// Target is where a link leads, as Quote writes it.
	Target string `json:"target,omitzero"`
}

// A Type is what an entry is.
type Type string

// The types, which are those of a NAR.
const (
	File      Type = "file"
	Directory Type = "directory"
	Link      Type = "link"
)

// Quote writes a name of a file system, which is any bytes, as text: a backslash is doubled,
// and what is no UTF-8, or a control character, is written \xff. Different names stay different.
func Quote(name string) string {
	if plain(name) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == 0xfffd && !strings.HasPrefix(name[i:], "\ufffd"): // a byte that is no UTF-8
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case control(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Unquote returns the name that [Quote] wrote; ok is false for what it does not write.
func Unquote(text string) (name string, ok bool) {
	if checkText("name", text) != nil {
		return "", false
	}
	if !strings.Contains(text, `\`) {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			b.WriteByte(text[i])
		case text[i+1] == '\\':
			b.WriteByte('\\')
			i++
		default:
			c, _ := strconv.ParseUint(text[i+2:i+4], 16, 8) // two digits, as checked
			b.WriteByte(byte(c))
			i += 3
		}
	}
	return b.String(), true
}

func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// control reports whether a character moves a terminal or a line rather than being one.
func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }

// compare orders paths as entries are.
func compare(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return -1
	case b == ".":
		return 1
	}
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		switch {
		case x == y:
			continue
		case x == '/':
			return -1
		case y == '/':
			return 1
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(len(a), len(b))
}

// Validate reports the first rule that the manifest breaks. The error wraps [ErrMalformed].
func (m *Manifest) Validate() error {
	if len(m.Entries) == 0 {
		return fmt.Errorf("%w: it has no entry", ErrMalformed)
	}
	if len(m.Entries) > MaxEntries {
		return fmt.Errorf("%w: %d entries, at most %d are accepted", ErrMalformed, len(m.Entries), MaxEntries)
	}
	var open []string // the directories that the entry before is in, and itself if it is one
	for i := range m.Entries {
		e := &m.Entries[i]
		if err := e.validate(i == 0); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrMalformed, i, err)
		}
		if i > 0 {
			if compare(m.Entries[i-1].Path, e.Path) >= 0 {
				return fmt.Errorf("%w: entry %d: %.80q does not follow %.80q in their order", ErrMalformed, i, e.Path, m.Entries[i-1].Path)
			}
			parent := path.Dir(e.Path)
			for len(open) > 0 && open[len(open)-1] != parent {
				open = open[:len(open)-1]
			}
			if len(open) == 0 {
				return fmt.Errorf("%w: entry %d: %.80q is in no directory", ErrMalformed, i, e.Path)
			}
		}
		if e.Type == Directory {
			open = append(open, e.Path)
		}
	}
	return nil
}

func (e *Entry) validate(first bool) error {
	if (e.Path == ".") != first {
		return errors.New(`the first path, and no other, is "."`)
	}
	if err := checkText("path", e.Path); err != nil {
		return err
	}
	if path.Clean(e.Path) != e.Path || strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path+"/", "../") {
		return fmt.Errorf("path %.80q is not one below the output", e.Path)
	}
	if strings.Count(e.Path, "/") > MaxDepth {
		return fmt.Errorf("path %.80q is more than %d deep", e.Path, MaxDepth)
	}
	isFile := e.Type == File
	switch {
	case e.Type != File && e.Type != Directory && e.Type != Link:
		return fmt.Errorf("type %.20q is none of %s, %s, %s", e.Type, File, Directory, Link)
	case e.SHA256.IsZero() == isFile:
		return errors.New("files have a sha256, and nothing else has")
	case e.Size < 0 || !isFile && (e.Size != 0 || e.Executable):
		return errors.New("size and executable are of files, and not negative")
	case (e.Target == "") == (e.Type == Link):
		return errors.New("links have a target, and nothing else has")
	case e.Stable != nil && !isFile:
		return errors.New("files may have a stable digest, and nothing else")
	}
	return errors.Join(checkText("target", e.Target), e.validateMembers(), validateStable(e.Stable))
}

// checkText refuses what Quote does not write.
func checkText(what, text string) error {
	if len(text) > MaxPath {
		return fmt.Errorf("%s of %d bytes, at most %d are accepted", what, len(text), MaxPath)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		rest := text[i+1:]
		switch {
		case strings.HasPrefix(rest, `\`):
			i++
		case len(rest) >= 3 && rest[0] == 'x' && strings.Trim(rest[1:3], "0123456789abcdef") == "":
			i += 3
		default:
			return fmt.Errorf("%s %.80q has a backslash that is neither doubled nor begins \\x and two hexadecimal digits", what, text)
		}
	}
	for _, r := range text {
		if control(r) {
			return fmt.Errorf("%s %.80q has a control character", what, text)
		}
	}
	return nil
}

// Encode returns the entries as lines: the same bytes for the same manifest. Where they would
// be more than [MaxSize], members of archives are left out; the error wraps [ErrTooLarge] if
// they are more without them too.
func (m *Manifest) Encode() ([]byte, error) {
	lines, err := m.encode(true)
	if errors.Is(err, ErrTooLarge) {
		return m.encode(false)
	}
	return lines, err
}

func (m *Manifest) encode(members bool) ([]byte, error) {
	var lines bytes.Buffer
	for i := range m.Entries {
		e := m.Entries[i]
		if !members {
			e.Format, e.Members = "", nil
		}
		if err := json.MarshalWrite(&lines, &e, json.Deterministic(true)); err != nil {
			return nil, fmt.Errorf("encoding manifest: %w", err)
		}
		lines.WriteByte('\n')
		if lines.Len() > MaxSize {
			return nil, fmt.Errorf("encoding manifest: %w: its lines have more than %d bytes", ErrTooLarge, MaxSize)
		}
	}
	return lines.Bytes(), nil
}

// Parse reads what [Manifest.Encode] writes, and nothing else. The error wraps [ErrMalformed].
func Parse(lines []byte) (*Manifest, error) {
	if len(lines) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrMalformed, len(lines), MaxSize)
	}
	count := bytes.Count(lines, []byte("\n"))
	if count == 0 || count > MaxEntries || lines[len(lines)-1] != '\n' {
		return nil, fmt.Errorf("%w: want 1 to %d lines, each with its end", ErrMalformed, MaxEntries)
	}
	m := &Manifest{Entries: make([]Entry, count)}
	for i := range m.Entries {
		line, rest, _ := bytes.Cut(lines, []byte("\n"))
		lines = rest
		if err := attestation.DecodeStrict(line, &m.Entries[i]); err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrMalformed, i, err)
		}
	}
	return m, m.Validate()
}
