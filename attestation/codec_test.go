package attestation_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

// minimal is a statement with as few members as there can be.
const minimal = `{"_type":"https://in-toto.io/Statement/v1",` +
	`"subject":[{"name":"p/f","digest":{"sha256":"` + hexDigest + `"}}],` +
	`"predicateType":"https://repronet.dev/rebuild/v1",` +
	`"predicate":{"ecosystem":"generic","digestKind":"file","builds":[{"name":"p/b","outputs":[0],"finishedOn":"2026-01-02T03:04:05Z","occasion":"build"}]}}`

const hexDigest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func TestParseAcceptsOtherSpellings(t *testing.T) {
	want, err := attestation.Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"white space":     strings.ReplaceAll(minimal, ",", " ,\n\t"),
		"escaped letters": strings.Replace(minimal, `"p/f"`, `"\u0070\/f"`, 1),
		"escaped member":  strings.Replace(minimal, `"subject"`, `"\u0073ubject"`, 1),
		"time zone":       strings.Replace(minimal, "03:04:05Z", "04:04:05+01:00", 1),
		"empty optional":  strings.Replace(minimal, `"builds"`, `"skipped":[],"stream":"","sequence":0,"environment":{},"reason":"","builds"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := attestation.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got.Chain.Skipped, got.Environment = nil, nil // empty, not absent
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseRefuses holds documents that some parser somewhere reads, or reads
// differently.
func TestParseRefuses(t *testing.T) {
	replace := func(old, replacement string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("minimal has no %s", old)
		}
		return strings.Replace(minimal, old, replacement, 1)
	}
	subject := `{"name":"p/f","digest":{"sha256":"` + hexDigest + `"}}`
	for name, test := range map[string]struct{ text, want string }{
		"nothing":             {"", "not JSON at byte 0"},
		"not JSON":            {"hello", "not JSON at byte 0"},
		"array":               {"[]", "the document: an array has no place here"},
		"string":              {`"x"`, "a string has no place here"},
		"null":                {"null", "null has no place here"},
		"truncated":           {minimal[:len(minimal)-1], "not JSON at byte"},
		"trailing document":   {minimal + minimal, "not JSON at byte"},
		"trailing byte":       {minimal + "x", "not JSON at byte"},
		"byte order mark":     {"\ufeff" + minimal, "not JSON at byte 0"},
		"comment":             {"/**/" + minimal, "not JSON at byte 0"},
		"trailing comma":      {replace(`[0]`, `[0,]`), "not JSON at byte"},
		"single quotes":       {strings.ReplaceAll(minimal, `"`, `'`), "not JSON at byte 1"},
		"NaN":                 {replace(`[0]`, `[NaN]`), "not JSON at byte"},
		"duplicate member":    {replace(`"subject":`, `"subject":[],"subject":`), "/subject: the member occurs twice"},
		"duplicate, escaped":  {replace(`"subject":`, `"\u0073ubject":[],"subject":`), "/subject: the member occurs twice"},
		"duplicate, deep":     {replace(`"name":"p/f"`, `"name":"p/g","name":"p/f"`), "/subject/0/name: the member occurs twice"},
		"duplicate trait":     {replace(`"builds"`, `"environment":{"tz":"a","tz":"b"},"builds"`), "/predicate/environment/tz: the member occurs twice"},
		"case variant":        {replace(`"subject":`, `"Subject":[],"subject":`), "/Subject: unknown member (names are case-sensitive)"},
		"Kelvin sign":         {replace(`"digestKind":`, "\"digest\u212aind\":\"nar\",\"digestKind\":"), "unknown member"},
		"unknown member":      {replace(`"predicate":`, `"x":1,"predicate":`), "/x: unknown member"},
		"unknown digest":      {replace(`"sha256":`, `"sha512":"00","sha256":`), "/subject/0/digest/sha512: unknown member"},
		"unknown, deep":       {replace(`"builds"`, `"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`,"builds"`), "/predicate/x: unknown member"},
		"nested beyond sense": {strings.Repeat("[", 1<<20), "an array has no place here"},
		"null subject":        {replace(`[`+subject+`]`, `null`), "/subject: null has no place here"},
		"null optional":       {replace(`"builds"`, `"stream":null,"builds"`), "/predicate/stream: null has no place here"},
		"null digest":         {replace(`"`+hexDigest+`"`, `null`), "/subject/0/digest/sha256: null has no place here"},
		"invalid UTF-8":       {replace(`p/f`, "p/\xff"), "not JSON at byte"},
		"overlong UTF-8":      {replace(`p/f`, "p/\xc0\xaf"), "not JSON at byte"},
		"lone surrogate":      {replace(`p/f`, `p/\ud800`), "not JSON at byte"},
		"reversed surrogates": {replace(`p/f`, `p/\udc00\ud800`), "not JSON at byte"},
		"control character":   {replace(`p/f`, "p/\n"), "not JSON at byte"},
		"huge number":         {replace(`[0]`, `[1e999]`), "/predicate/builds/0/outputs/0"},
		"fraction":            {replace(`[0]`, `[0.0]`), "/predicate/builds/0/outputs/0"},
		"exponent":            {replace(`[0]`, `[0e0]`), "/predicate/builds/0/outputs/0"},
		"number as string":    {replace(`[0]`, `["0"]`), "/predicate/builds/0/outputs/0"},
		"beyond 64 bits":      {replace(`[0]`, `[18446744073709551616]`), "/predicate/builds/0/outputs/0"},
		"sequence below zero": {replace(`"builds"`, `"stream":"`+stream+`","sequence":-1,"builds"`), "/predicate/sequence"},
		"object as text":      {replace(`"generic"`, `{}`), "/predicate/ecosystem: an object has no place here"},
		"wrong _type":         {replace("Statement/v1", "Statement/v0.1"), `_type is "https://in-toto.io/Statement/v0.1", want "https://in-toto.io/Statement/v1"`},
		"no _type":            {replace(`"_type":"https://in-toto.io/Statement/v1",`, ""), `_type is ""`},
		"wrong predicateType": {replace("rebuild/v1", "rebuild/v2"), `predicateType "https://repronet.dev/rebuild/v2" is not one of`},
		"no predicate":        {minimal[:strings.Index(minimal, `,"predicate":`)] + "}", "no predicate"},
		"no subjects":         {replace(subject, ""), "no subjects"},
		"a name twice":        {replace(subject, subject+","+subject), `subject 1: "p/f" is named twice`},
		"short digest":        {replace(hexDigest, hexDigest[2:]), "64 hexadecimal digits, this one has 62"},
		"long digest":         {replace(hexDigest, hexDigest+"00"), "64 hexadecimal digits, this one has 66"},
		"upper-case digest":   {replace(hexDigest, strings.ToUpper(hexDigest)), "(lower case), not 'A'"},
		"prefixed digest":     {replace(hexDigest, "sha256:"+hexDigest), "64 hexadecimal digits"},
		"no digest":           {replace(`"digest":{"sha256":"`+hexDigest+`"}`, `"digest":{}`), "has no sha256 digest"},
		"time without zone":   {replace("03:04:05Z", "03:04:05"), "/predicate/builds/0/finishedOn"},
		"time with a comma":   {replace("03:04:05Z", "03:04:05,5Z"), "/predicate/builds/0/finishedOn"},
		"long":                {strings.Repeat(" ", attestation.MaxPayloadSize) + minimal, "at most 2097152 are accepted"},
		"100,000 subjects":    {manySubjects(100_000), "at most 2097152 are accepted"},
		"10,000 subjects":     {manySubjects(9_999), "statement has 10000 subjects, at most 4096 are accepted: split it"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := attestation.Parse([]byte(test.text))
			if s != nil {
				t.Errorf("got a statement beside the error")
			}
			wantError(t, err, test.want)
			if err != nil && strings.Contains(err.Error(), "attestation.") {
				t.Errorf("the error names Go types: %v", err)
			}
		})
	}
}

func manySubjects(n int) string {
	var subjects strings.Builder
	for i := range n {
		fmt.Fprintf(&subjects, `{"name":"p/%d","digest":{"sha256":"%s"}},`, i, hexDigest)
	}
	head, tail, _ := strings.Cut(minimal, `[{"name":"p/f"`)
	return head + "[" + subjects.String() + `{"name":"p/f"` + tail
}

func TestDigest(t *testing.T) {
	d, err := attestation.ParseDigest("sha256:" + hexDigest)
	if err != nil {
		t.Fatal(err)
	}
	if bare, err := attestation.ParseDigest(hexDigest); err != nil || bare != d {
		t.Errorf("ParseDigest of the digits alone: %v, %v", bare, err)
	}
	if d.Hex() != hexDigest || d.String() != "sha256:"+hexDigest {
		t.Errorf("Hex and String: %s, %s", d.Hex(), d)
	}
	if d.IsZero() || !(attestation.Digest{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	for _, bad := range []string{"", "sha256:", "sha512:" + hexDigest, hexDigest + "\n", hexDigest[1:], "g" + hexDigest[1:]} {
		if _, err := attestation.ParseDigest(bad); err == nil {
			t.Errorf("ParseDigest(%q) was accepted", bad)
		}
	}
}

// plain is the statement as encoding/json, the laxest parser in use, reads it.
type plain struct {
	Type    string `json:"_type"`
	Subject []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		Ecosystem string `json:"ecosystem"`
		Stream    string `json:"stream"`
		Sequence  uint64 `json:"sequence"`
		Builds    []struct {
			Name    string `json:"name"`
			Outputs []int  `json:"outputs"`
		} `json:"builds"`
	} `json:"predicate"`
}

func FuzzParse(f *testing.F) {
	for _, s := range []*attestation.Statement{rebuild(), buildFailed(), withdraw()} {
		payload, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte(minimal))
	f.Add([]byte(strings.Replace(minimal, "2026-01-02T03:04:05Z", "1990-01-01T00:00:00+01:00", 1)))
	f.Add([]byte(strings.Replace(minimal, `"builds"`, `"stream":null,"Builds":[],"builds"`, 1)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := attestation.Parse(payload)
		if err != nil {
			return
		}
		encoded, err := s.Encode()
		if err != nil {
			t.Fatalf("what was parsed does not encode: %v", err)
		}
		again, err := attestation.Parse(encoded)
		if err != nil {
			t.Fatalf("what was encoded does not parse: %v", err)
		}
		encodedAgain, err := again.Encode()
		if err != nil || !bytes.Equal(encoded, encodedAgain) {
			t.Fatalf("encoding is not stable (%v):\n%s\n%s", err, encoded, encodedAgain)
		}
		var p plain
		if err := stdjson.Unmarshal(payload, &p); err != nil {
			t.Fatalf("encoding/json refuses what was parsed: %v", err)
		}
		sameAsPlain(t, s, &p)
	})
}

func sameAsPlain(t *testing.T, s *attestation.Statement, p *plain) {
	t.Helper()
	same := p.Type == attestation.StatementType && p.PredicateType == string(s.Type) &&
		p.Predicate.Ecosystem == s.Ecosystem && p.Predicate.Stream == s.Chain.Stream && p.Predicate.Sequence == s.Chain.Sequence &&
		len(p.Subject) == len(s.Subjects) && len(p.Predicate.Builds) == len(s.Builds)
	for i := 0; same && i < len(s.Subjects); i++ {
		same = p.Subject[i].Name == s.Subjects[i].Name && len(p.Subject[i].Digest) == 1 && p.Subject[i].Digest["sha256"] == s.Subjects[i].Digest.Hex()
	}
	for i := 0; same && i < len(s.Builds); i++ {
		same = p.Predicate.Builds[i].Name == s.Builds[i].Name && cmp.Equal(p.Predicate.Builds[i].Outputs, s.Builds[i].Outputs)
	}
	if !same {
		t.Fatalf("encoding/json reads something else:\n%+v\n%+v", s, p)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		payload, err := statementOf(n).Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("subjects=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := attestation.Parse(payload); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "outputs/s")
		})
	}
}

// statementOf returns a statement of n builds with one output each.
func statementOf(n int) *attestation.Statement {
	s := rebuild()
	s.Subjects, s.Builds = nil, nil
	for i := range n {
		s.Subjects = append(s.Subjects, attestation.Subject{Name: fmt.Sprintf("%s-%d", hello, i), Digest: digest(byte(i + 1))})
		s.Subjects[i].Digest[0] = 1
		s.Builds = append(s.Builds, attestation.Build{
			Name: fmt.Sprintf("%s-%d.drv", hello, i), Outputs: []int{i}, Started: finished, Finished: finished,
			Occasion: attestation.OccasionBuild, InputsDigest: digest(9),
		})
	}
	return s
}

// TestOutputIDText: an ID has one spelling.
func TestOutputIDText(t *testing.T) {
	id := attestation.NewOutputID("nix", hello)
	text, err := id.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var again attestation.OutputID
	if err := again.UnmarshalText(text); err != nil || again != id {
		t.Errorf("%s is read as %x, %v", text, again, err)
	}
	for _, wrong := range []string{"", string(text[1:]), string(text) + "00", strings.Repeat("A", 40), strings.Repeat("g", 40)} {
		if err := again.UnmarshalText([]byte(wrong)); err == nil {
			t.Errorf("%q is read", wrong)
		}
	}
}
