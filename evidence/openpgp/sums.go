package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"repronet.dev/attestation"
)

// MaxLines bounds the lines of a checksum document that are judged.
const MaxLines = attestation.MaxSubjects

// A Claim is one row of a checksum document.
type Claim struct {
	Output string // output key
	Digest attestation.Digest
}

// An Ambiguity is a name that a document lists with several digests.
type Ambiguity struct {
	Output  string
	Digests []attestation.Digest // in the order of the document, at least two
}

// A Rejection is a line that is not judged, and why.
type Rejection struct {
	Line   int // from 1
	Reason string
}

// Sums is what the text of a document says, whoever signed it.
type Sums struct {
	Claims    []Claim // in the order of the document, each output once
	Ambiguous []Ambiguity
	Rejected  []Rejection
}

// Outputs returns the keys of all outputs that the text names, sorted.
func (s *Sums) Outputs() []string {
	outputs := make([]string, 0, len(s.Claims)+len(s.Ambiguous))
	for _, c := range s.Claims {
		outputs = append(outputs, c.Output)
	}
	for _, a := range s.Ambiguous {
		outputs = append(outputs, a.Output)
	}
	slices.Sort(outputs)
	return outputs
}

// ParseSums reads the text of a [Document] of a project, as such texts were read
// when the first of them came into a ledger: what it does not read never comes to
// count. [ParseRows] reads more. It proves nothing: what counts comes from [Open].
func ParseSums(project string, text []byte) Sums {
	t := newTally()
	for line := range bytes.Lines(text) {
		t.line++
		row := string(bytes.TrimRight(line, " \t\r\n"))
		if row == "" {
			continue
		}
		if t.line > MaxLines {
			t.reject(fmt.Sprintf("this line and all after it: only the first %d are read", MaxLines))
			break
		}
		t.add(parseRow(project, row))
	}
	return t.sums()
}

// tally collects the rows of a text.
type tally struct {
	line     int // the current one's number, from 1
	digests  map[string][]attestation.Digest
	order    []string // of the keys in digests
	rejected []Rejection
}

func newTally() *tally { return &tally{digests: map[string][]attestation.Digest{}} }

func (t *tally) reject(reason string) { t.rejected = append(t.rejected, Rejection{t.line, reason}) }

func (t *tally) add(claim Claim, err error) {
	if err != nil {
		t.reject(err.Error())
		return
	}
	known, listed := t.digests[claim.Output]
	if !listed {
		t.order = append(t.order, claim.Output)
	}
	if !slices.Contains(known, claim.Digest) {
		t.digests[claim.Output] = append(known, claim.Digest)
	}
}

func (t *tally) sums() Sums {
	s := Sums{Rejected: t.rejected}
	for _, output := range t.order {
		if d := t.digests[output]; len(d) == 1 {
			s.Claims = append(s.Claims, Claim{output, d[0]})
		} else {
			s.Ambiguous = append(s.Ambiguous, Ambiguity{output, d})
		}
	}
	return s
}

const hexDigits = 64

func parseRow(project, row string) (Claim, error) {
	if len(row) < hexDigits+3 || row[hexDigits] != ' ' || row[hexDigits+1] != ' ' && row[hexDigits+1] != '*' {
		return Claim{}, errors.New(`not written as "<64 hex digits>  <file name>"`)
	}
	digest, err := attestation.ParseDigest(row[:hexDigits])
	if err != nil {
		return Claim{}, err
	}
	if digest.IsZero() {
		return Claim{}, errors.New("the digest is all zeros")
	}
	name := row[hexDigits+2:]
	// An output key with a ^ would be read as that of a build's output.
	if strings.Contains(name, "^") {
		return Claim{}, fmt.Errorf("file name %.100q contains '^'", name)
	}
	output := project + "/" + name
	if err := validateFirstName(output); err != nil {
		return Claim{}, err
	}
	return Claim{output, digest}, nil
}

// validateFirstName holds for the output keys that documents had when the first of them
// came into a ledger. The rule is written down here because the names of releases may
// come to allow more, and what a document in a ledger says must not change.
func validateFirstName(output string) error {
	const longest = 512
	if output == "" || len(output) > longest {
		return fmt.Errorf("output key %.100q is not of 1 to %d bytes", output, longest)
	}
	for i := range len(output) {
		c := output[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/.-_+~@:=,", c) >= 0 {
			continue
		}
		return fmt.Errorf("output key %.100q contains %q; allowed are letters, digits and / . - _ + ~ @ : = ,", output, c)
	}
	for segment := range strings.SplitSeq(output, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf(`output key %.100q has an empty, "." or ".." path segment`, output)
		}
	}
	return nil
}
