package pkgset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
)

// A Member is one output of a package set. Only Key is always known.
type Member struct {
	Key         string   `json:"key"`                 // output key
	Build       string   `json:"build,omitempty"`     // the recipe, for Nix the derivation
	Output      string   `json:"output,omitempty"`    // name within the build
	Attribute   string   `json:"attribute,omitempty"` // in the set
	Version     string   `json:"version,omitempty"`
	System      string   `json:"system,omitempty"`
	Maintainers []string `json:"maintainers,omitempty"` // sorted
	// Inputs are the outputs that the build uses directly: output keys where
	// these are in the set, else "<build>^<output>". Sorted.
	Inputs []string `json:"inputs,omitempty"`
	// Fixed marks an output whose hash its recipe fixes.
	Fixed bool `json:"fixed,omitzero"`
}

// Limits of a set. They bound what a hostile attachment can cause.
const (
	MaxMembers        = 1_000_000
	MaxAttachmentSize = 1 << 30 // bytes

	maxLine        = 4 << 20
	maxText        = 512
	maxRevision    = 200
	maxMaintainers = 100
	maxInputs      = 20_000
)

// Count returns how many members count as outputs of the set: all but the fixed.
func Count(members []Member) int {
	n := 0
	for i := range members {
		if !members[i].Fixed {
			n++
		}
	}
	return n
}

// Encode returns the attachment for the members of a set: JSON lines, sorted by
// key. It refuses what [Decode] would refuse, but takes members in any order.
func Encode(ecosystem string, members []Member) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	var out bytes.Buffer
	for i := range sorted {
		if err := encodeLine(&out, ecosystem, &sorted[i]); err != nil {
			return nil, fmt.Errorf("encoding package set: %w", err)
		}
		if i > 0 && sorted[i-1].Key == sorted[i].Key {
			return nil, fmt.Errorf("encoding package set: %s is listed twice", clip(sorted[i].Key))
		}
	}
	if len(members) > MaxMembers || out.Len() > MaxAttachmentSize {
		return nil, fmt.Errorf("encoding package set: %d members in %d bytes, at most %d in %d are accepted",
			len(members), out.Len(), MaxMembers, MaxAttachmentSize)
	}
	return out.Bytes(), nil
}

func encodeLine(out *bytes.Buffer, ecosystem string, m *Member) error {
	if err := m.validate(ecosystem); err != nil {
		return fmt.Errorf("member %s: %w", clip(m.Key), err)
	}
	if err := json.MarshalWrite(out, m, json.Deterministic(true)); err != nil {
		return fmt.Errorf("member %s: %w", clip(m.Key), err)
	}
	return out.WriteByte('\n')
}

// Decode reads an attachment of an ecosystem's set. It accepts the canonical
// form only.
func Decode(ecosystem string, attachment []byte) ([]Member, error) {
	members := []Member{}
	for m, err := range Read(ecosystem, bytes.NewReader(attachment)) {
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// Read yields the members of an attachment of an ecosystem's set as it comes in, in the
// order of their keys. It accepts the canonical form only, and ends with the first
// error. It holds a line at a time.
func Read(ecosystem string, attachment io.Reader) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		lines := &attachmentLines{in: bufio.NewReader(attachment)}
		var canonical bytes.Buffer
		last := ""
		for n := 1; ; n++ {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				return
			}
			var m Member
			if err == nil {
				err = decodeLine(ecosystem, line, &m, &canonical)
			}
			switch {
			case err != nil:
			case n > MaxMembers:
				err = fmt.Errorf("more than %d members", MaxMembers)
			case n > 1 && last >= m.Key:
				err = errors.New("not sorted by key, or a key occurs twice")
			}
			if err != nil {
				yield(Member{}, fmt.Errorf("decoding package set: line %d: %w", n, err))
				return
			}
			if last = m.Key; !yield(m, nil) {
				return
			}
		}
	}
}

func decodeLine(ecosystem string, line []byte, m *Member, canonical *bytes.Buffer) error {
	if err := attestation.DecodeStrict(line, m); err != nil {
		return err
	}
	canonical.Reset()
	if err := encodeLine(canonical, ecosystem, m); err != nil {
		return err
	}
	if !bytes.Equal(canonical.Bytes(), line) {
		return errors.New("not in canonical form")
	}
	return nil
}

// attachmentLines are the lines of an attachment, within its limits.
type attachmentLines struct {
	in   *bufio.Reader
	line []byte // reused
	size int64  // read so far
}

// next returns the next line with its end, and io.EOF after the last.
func (l *attachmentLines) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.line = append(l.line, part...)
		l.size += int64(len(part))
		switch {
		case l.size > MaxAttachmentSize:
			return nil, fmt.Errorf("the attachment is larger than %d bytes", MaxAttachmentSize)
		case len(l.line) > maxLine:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.line) > 0:
			return l.line, nil // not canonical without its end
		default:
			return l.line, err
		}
	}
}

func (m *Member) validate(ecosystem string) error {
	if err := attestation.ValidateOutput(ecosystem, m.Key); err != nil {
		return err
	}
	if m.Build != "" {
		if err := attestation.ValidateBuild(ecosystem, m.Build); err != nil {
			return err
		}
	}
	for _, text := range []struct{ name, value string }{
		{"output", m.Output}, {"attribute", m.Attribute}, {"version", m.Version}, {"system", m.System},
	} {
		if err := validateText(text.name, text.value, maxText); err != nil {
			return err
		}
	}
	if len(m.Maintainers) > maxMaintainers || len(m.Inputs) > maxInputs {
		return fmt.Errorf("%d maintainers and %d inputs, at most %d and %d are accepted", len(m.Maintainers), len(m.Inputs), maxMaintainers, maxInputs)
	}
	for i, name := range m.Maintainers {
		if name == "" || i > 0 && m.Maintainers[i-1] >= name {
			return errors.New("maintainers are not sorted names, each once")
		}
		if err := validateText("maintainer", name, maxText); err != nil {
			return err
		}
	}
	for i, key := range m.Inputs {
		if i > 0 && m.Inputs[i-1] >= key {
			return errors.New("inputs are not sorted keys, each once")
		}
		if err := attestation.ValidateOutput(ecosystem, key); err != nil {
			return fmt.Errorf("input: %w", err)
		}
	}
	return nil
}

// validateText holds for what people read: one line of valid UTF-8 without
// control characters.
func validateText(name, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= '\u2028' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return fmt.Errorf("%s contains the control character %U", name, r)
		}
	}
	return nil
}

// clip bounds what an error repeats of its input.
func clip(s string) string {
	const limit = 100
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// prefixSize is how much of an output's ID a filter lists.
const prefixSize = 12

// prefixes are what a filter lists, in any order.
type prefixes [][prefixSize]byte

func (p *prefixes) add(ecosystem string, m *Member) {
	if m.Fixed {
		return
	}
	id := attestation.NewOutputID(ecosystem, m.Key)
	*p = append(*p, [prefixSize]byte(id[:prefixSize]))
}

func (p prefixes) filter() []byte {
	slices.SortFunc(p, func(a, b [prefixSize]byte) int { return bytes.Compare(a[:], b[:]) })
	p = slices.Compact(p)
	filter := make([]byte, 0, len(p)*prefixSize)
	for _, one := range p {
		filter = append(filter, one[:]...)
	}
	return filter
}

// Filter returns what reporters test their outputs against without telling
// anybody which they are: the first 12 bytes of the members' output IDs, sorted
// and concatenated. Fixed outputs are not in it.
func Filter(ecosystem string, members []Member) []byte {
	p := make(prefixes, 0, len(members))
	for i := range members {
		p.add(ecosystem, &members[i])
	}
	return p.filter()
}

// ReadFilter is [Filter] of the members of an attachment, which need not fit into
// memory. It returns how many of them count, see [Count], too.
func ReadFilter(ecosystem string, attachment io.Reader) (filter []byte, counted int, err error) {
	var p prefixes
	for m, err := range Read(ecosystem, attachment) {
		if err != nil {
			return nil, 0, err
		}
		p.add(ecosystem, &m)
	}
	return p.filter(), len(p), nil
}
