package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// MaxRows bounds the rows that are read of one text by [ParseRows].
const MaxRows = 8192

// Rows is what a text says whose rows are read by the wider grammar, and what
// became of each of its rows.
type Rows struct {
	Sums
	// Total are the rows of the text: its lines but empty ones and comments.
	Total int
	// Read are those that say a digest of an output, repetitions and those of
	// ambiguous names among them; AmbiguousRows are the latter.
	Read, AmbiguousRows int
}

// Unread is how many rows say nothing that is read. [Sums.Rejected] has the reason
// of each, but of those behind the first [MaxRows].
func (r *Rows) Unread() int { return r.Total - r.Read }

// Usable reports why the text says nothing of any output, nil if it does.
func (r *Rows) Usable() error {
	switch {
	case r.Read > 0:
		return nil
	case r.Total == 0:
		return errors.New("it has no rows, so it says nothing of any output")
	default:
		return fmt.Errorf("none of its %d rows is one of sha256sum, so it says nothing of any output; line %d: %s", r.Total, r.Rejected[0].Line, r.Rejected[0].Reason)
	}
}

// ParseRows reads the text of a [Signed] of a project, row by row as sha256sum -c
// of GNU coreutils does (version 9.5): in text mode, in binary mode ("*name"), with
// one blank before the name, and as --tag writes it ("SHA256 (name) = digits");
// digits of either case; names that a backslash before the row says to be escaped;
// lines that end in CR LF; comments that begin with "#". Different are three things: blanks
// at a line's end are no part of a name; "./" before a name is left out, so that
// both spellings are one file; and a row whose name is none of a release
// (a path out of its directory, a control character) is not read. It proves
// nothing: what counts comes from [OpenSigned].
func ParseRows(project string, text []byte) Rows {
	t := newTally()
	var r Rows
	rows := map[string]int{} // by output
	for line := range bytes.Lines(text) {
		t.line++
		row := string(bytes.Trim(line, " \t\r\n"))
		if row == "" || row[0] == '#' {
			continue
		}
		r.Total++
		if r.Total > MaxRows {
			if r.Total == MaxRows+1 {
				t.reject(fmt.Sprintf("this row and all after it: only the first %d are read", MaxRows))
			}
			continue
		}
		claim, err := parseWideRow(project, row)
		t.add(claim, err)
		if err == nil {
			r.Read++
			rows[claim.Output]++
		}
	}
	r.Sums = t.sums()
	for _, a := range r.Ambiguous {
		r.AmbiguousRows += rows[a.Output]
	}
	return r
}

var taggedRow = regexp.MustCompile(`^(?s)([A-Za-z0-9/-]+) ?\((.*)\)[ \t]*=[ \t]*([0-9A-Fa-f]+)$`)

func parseWideRow(project, row string) (Claim, error) {
	const longest = 4 << 10 // a name of the greatest length, all of it escaped, is shorter
	if len(row) > longest {
		return Claim{}, fmt.Errorf("a row of %d bytes: at most %d are read", len(row), longest)
	}
	row, escaped := strings.CutPrefix(row, `\`)
	digits, name, ok := splitPlain(row)
	if !ok {
		m := taggedRow.FindStringSubmatch(row)
		if m != nil && !strings.EqualFold(m[1], "SHA256") {
			return Claim{}, fmt.Errorf("a digest of %.20q, and only SHA256 is read", m[1])
		}
		if m != nil {
			digits, name, ok = m[3], m[2], true
		}
	}
	if !ok {
		return Claim{}, errors.New(`not written as a row of sha256sum: "<64 hex digits>  <file name>" or "SHA256 (<file name>) = <64 hex digits>"`)
	}
	digest, err := attestation.ParseDigest(strings.ToLower(digits))
	switch {
	case err != nil:
		return Claim{}, err
	case digest.IsZero():
		return Claim{}, errors.New("the digest is all zeros")
	}
	if escaped {
		if name, err = unescape(name); err != nil {
			return Claim{}, err
		}
	}
	return newClaim(project, name, digest)
}

// splitPlain splits a row that begins with its digest: a blank follows, and another
// one or a star for how the file was read.
func splitPlain(row string) (digits, name string, ok bool) {
	at := strings.IndexAny(row, " \t")
	if at < 1 || strings.Trim(row[:at], "0123456789abcdefABCDEF") != "" {
		return "", "", false
	}
	name = row[at+1:]
	if len(name) > 1 && (name[0] == ' ' || name[0] == '*') {
		name = name[1:]
	}
	return row[:at], name, name != ""
}

// newClaim makes a claim about a file by its name as signed.
func newClaim(project, name string, digest attestation.Digest) (Claim, error) {
	for strings.HasPrefix(name, "./") {
		name = name[len("./"):]
	}
	// An output key with a ^ would be read as that of a build's output.
	if strings.Contains(name, "^") {
		return Claim{}, fmt.Errorf("file name %.100q contains '^'", name)
	}
	output := project + "/" + name
	if err := attestation.ValidateOutput(ecosystem.Release, output); err != nil {
		return Claim{}, err
	}
	return Claim{output, digest}, nil
}

// unescape undoes how sha256sum writes a name that has a backslash or a line's end
// in it.
func unescape(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			b.WriteByte(name[i])
			continue
		}
		i++
		if i == len(name) {
			return "", fmt.Errorf("file name %.100q ends within an escape", name)
		}
		switch name[i] {
		case '\\':
			b.WriteByte('\\')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			return "", fmt.Errorf("file name %.100q has an escape that sha256sum does not write", name)
		}
	}
	return b.String(), nil
}
