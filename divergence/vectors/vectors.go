// Package vectors reads the conformance vectors of the verdict function,
// divergence/testdata/verdicts.txt, for the tests of whatever computes verdicts.
// The file says what its lines mean.
package vectors

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"

	"repronet.dev/attestation"
)

// A Vector is a ledger about one output, with the verdicts expected along it.
type Vector struct {
	Name  string
	Steps []Step
}

// A Step is an entry of the ledger, or an expectation of what follows from all
// entries before it.
type Step struct {
	Line   int // in the file
	Entry  *Entry
	Expect *Expectation
}

// The operations of an [Entry].
const (
	Enrol    = "enrol"
	Revoke   = "revoke"
	Claim    = "claim"
	Withdraw = "withdraw"
	Document = "document"
)

// An Entry is one entry of the ledger.
type Entry struct {
	Index          uint64
	Op             string
	Builder        string // a name; keys are the runner's business
	Operator, Tier string // of Enrol
	From           uint64 // of Revoke
	Digest         attestation.Digest
	Inputs         attestation.Digest   // of Claim; zero where the builder does not say
	SignedAt       uint64               // of Document: seconds since 1970
	Digests        []attestation.Digest // of Document, in its order
}

// An Expectation is written in the words of package divergence.
type Expectation struct {
	Verdict            string
	Operators, Digests int
	Shape              string // "" unless diverged
	Inputs             string // "same", "differ" or "unknown"; "" unless diverged
}

// Parse reads vectors. Its errors name the line.
func Parse(r io.Reader) ([]Vector, error) {
	var vectors []Vector
	var index uint64
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if words[0] == "case" {
			vectors = append(vectors, Vector{Name: strings.Join(words[1:], " ")})
			index = 0
			continue
		}
		if len(vectors) == 0 {
			return nil, fmt.Errorf("line %d: %q before the first case", line, words[0])
		}
		step, err := parseStep(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		step.Line = line
		if step.Entry != nil {
			step.Entry.Index = index
			index++
		}
		v := &vectors[len(vectors)-1]
		v.Steps = append(v.Steps, step)
	}
	return vectors, scanner.Err()
}

func parseStep(words []string) (Step, error) {
	op, args := words[0], words[1:]
	switch {
	case op == "expect" && (len(args) == 3 || len(args) == 5):
		e := &Expectation{Verdict: args[0]}
		var err1, err2 error
		e.Operators, err1 = strconv.Atoi(args[1])
		e.Digests, err2 = strconv.Atoi(args[2])
		if err1 != nil || err2 != nil || (e.Verdict == "diverged") != (len(args) == 5) {
			return Step{}, fmt.Errorf("malformed expectation %q", args)
		}
		if len(args) == 5 {
			e.Shape, e.Inputs = args[3], args[4]
		}
		return Step{Expect: e}, nil
	case op == Enrol && len(args) == 3:
		return Step{Entry: &Entry{Op: op, Builder: args[0], Operator: args[1], Tier: args[2]}}, nil
	case op == Revoke && len(args) == 2:
		from, err := strconv.ParseUint(args[1], 10, 64)
		return Step{Entry: &Entry{Op: op, Builder: args[0], From: from}}, err
	case op == Claim && len(args) == 2, op == Withdraw && len(args) == 2:
		return Step{Entry: &Entry{Op: op, Builder: args[0], Digest: sha256.Sum256([]byte(args[1]))}}, nil
	case op == Claim && len(args) == 3:
		return Step{Entry: &Entry{
			Op: op, Builder: args[0], Digest: sha256.Sum256([]byte(args[1])), Inputs: sha256.Sum256([]byte(args[2])),
		}}, nil
	case op == Document && len(args) > 2:
		signedAt, err := strconv.ParseUint(args[1], 10, 32)
		e := &Entry{Op: op, Builder: args[0], SignedAt: signedAt}
		for _, name := range args[2:] {
			e.Digests = append(e.Digests, sha256.Sum256([]byte(name)))
		}
		return Step{Entry: e}, err
	default:
		return Step{}, fmt.Errorf("%q with %d arguments is not known", op, len(args))
	}
}
