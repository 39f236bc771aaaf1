package attestation

import (
	"encoding/hex"
	"strings"

	"repronet.dev/internal/canonical"
)

// parseCanonical reads a statement that is spelled as [Statement.Encode] spells it, in a
// small part of the time that [parseStrict] takes. Of any other it returns nil: it may be
// right, and is for parseStrict to judge. The statement is not validated. Its strings share
// one text.
func parseCanonical(payload []byte) *Statement {
	text := string(payload)
	s := canonical.New(text)
	s.Expect(`{"_type":"` + StatementType + `","subject":[`)
	statement := &Statement{Subjects: make([]Subject, 0, min(strings.Count(text, `,"digest":`), MaxSubjects))}
	for more := true; more; more = s.Take(",") {
		s.Expect(`{"name":`)
		name := s.Text()
		s.Expect(`,"digest":{"sha256":`)
		statement.Subjects = append(statement.Subjects, Subject{Name: name, Digest: scanDigest(s)})
		s.Expect(`}}`)
	}
	s.Expect(`],"predicateType":`)
	statement.Type = PredicateType(s.Text())
	s.Expect(`,"predicate":{"ecosystem":`)
	statement.Ecosystem = s.Text()
	s.Expect(`,"digestKind":`)
	statement.DigestKind = DigestKind(s.Text())
	scanChain(s, &statement.Chain)
	scanEnvironment(s, statement)
	if s.Take(`,"builds":[`) {
		statement.Builds = make([]Build, 0, min(strings.Count(text, `,"finishedOn":`), MaxSubjects))
		scanBuilds(s, statement)
		s.Expect("]")
	}
	if s.Take(`,"reason":`) {
		statement.Reason = s.Text()
	}
	if s.Take(`,"audience":[`) {
		for more := true; more; more = s.Take(",") {
			statement.Audience = append(statement.Audience, s.Text())
		}
		s.Expect("]")
	}
	s.Expect("}}")
	if !s.Done() {
		return nil
	}
	return statement
}

func scanDigest(s *canonical.Scanner) Digest {
	var d Digest
	text := s.Text()
	if len(text) != hex.EncodedLen(len(d)) {
		s.Fail()
		return d
	}
	for i := range d {
		high, low := hexDigit(text[2*i]), hexDigit(text[2*i+1])
		if high|low > 15 {
			s.Fail()
			return Digest{}
		}
		d[i] = high<<4 | low
	}
	return d
}

// hexDigit returns the value of a lower-case digit; more than 15 of anything else.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return 1 << 4
	}
}

func scanChain(s *canonical.Scanner, chain *Chain) {
	if s.Take(`,"stream":`) {
		chain.Stream = s.Text()
	}
	if s.Take(`,"sequence":`) {
		chain.Sequence = s.Uint()
	}
	if s.Take(`,"previous":`) {
		chain.Previous = scanDigest(s)
	}
	if s.Take(`,"skipped":[`) {
		for more := true; more; more = s.Take(",") {
			chain.Skipped = append(chain.Skipped, scanDigest(s))
		}
		s.Expect("]")
	}
}

// scanEnvironment reads traits in the order of their names, each once.
func scanEnvironment(s *canonical.Scanner, statement *Statement) {
	if !s.Take(`,"environment":{`) {
		return
	}
	statement.Environment = map[string]string{}
	last := ""
	for more := true; more && !s.Failed(); more = s.Take(",") {
		name := s.Text()
		if name <= last {
			s.Fail()
		}
		s.Expect(":")
		statement.Environment[name] = s.Text()
		last = name
	}
	s.Expect("}")
}

func scanBuilds(s *canonical.Scanner, statement *Statement) {
	outputs := make([]int, 0, len(statement.Subjects))
	for more := true; more; more = s.Take(",") {
		var b Build
		s.Expect(`{"name":`)
		b.Name = s.Text()
		s.Expect(`,"outputs":[`)
		first := len(outputs)
		for more := true; more; more = s.Take(",") {
			outputs = append(outputs, int(s.Uint()))
		}
		b.Outputs = outputs[first:len(outputs):len(outputs)]
		s.Expect("]")
		if s.Take(`,"startedOn":`) {
			b.Started = s.Time()
		}
		s.Expect(`,"finishedOn":`)
		b.Finished = s.Time()
		if s.Take(`,"occasion":`) {
			b.Occasion = Occasion(s.Text())
		}
		if s.Take(`,"inputsDigest":`) {
			b.InputsDigest = scanDigest(s)
		}
		if s.Take(`,"failure":`) {
			b.Failure = s.Text()
		}
		s.Expect("}")
		statement.Builds = append(statement.Builds, b)
	}
}
