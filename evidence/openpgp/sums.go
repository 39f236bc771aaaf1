package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"repronet/attestation"
	"repronet/evidence"
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

// ParseSums reads the text of a checksum document of a project. It proves
// nothing: what counts comes from [Open].
func ParseSums(project string, text []byte) Sums {
	var s Sums
	digests := map[string][]attestation.Digest{} // by output key
	var order []string
	number := 0
	for line := range bytes.Lines(text) {
		number++
		row := string(bytes.TrimRight(line, " \t\r\n"))
		if row == "" {
			continue
		}
		if number > MaxLines {
			s.Rejected = append(s.Rejected, Rejection{number, fmt.Sprintf("this line and all after it: only the first %d are read", MaxLines)})
			break
		}
		claim, err := parseRow(project, row)
		if err != nil {
			s.Rejected = append(s.Rejected, Rejection{number, err.Error()})
			continue
		}
		known, listed := digests[claim.Output]
		if !listed {
			order = append(order, claim.Output)
		}
		if !slices.Contains(known, claim.Digest) {
			digests[claim.Output] = append(known, claim.Digest)
		}
	}
	for _, output := range order {
		if d := digests[output]; len(d) == 1 {
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
	if err := attestation.ValidateOutput(evidence.ReleaseEcosystem, output); err != nil {
		return Claim{}, err
	}
	return Claim{output, digest}, nil
}
