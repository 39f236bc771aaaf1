package ingest_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/docs/docstest"
	"repronet.dev/enrolment"
	"repronet.dev/signing/signingtest"
)

// badBundle is a bundle that must be refused, whatever comes with it.
type badBundle struct {
	input        string // what it is, for people
	bundle       []byte
	status       int
	kind, detail string // detail: a part of the sentence
}

func badBundles(t *testing.T, s *server) []badBundle {
	t.Helper()
	signer, other := s.enrolled(t, "alice", nil), s.enrolled(t, "bob", nil)
	expired := s.enrolled(t, "carol", func(e *enrolment.Enrolment) { e.NotAfter = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) })
	early := s.enrolled(t, "dan", func(e *enrolment.Enrolment) { e.NotBefore = time.Date(2199, 1, 2, 3, 4, 5, 0, time.UTC) })
	revoked := s.enrolled(t, "erin", nil)
	from := uint64(4)
	if _, err := s.ingest.Revoke(t.Context(), revoked.Public().Builder(), &from, "disk was copied"); err != nil {
		t.Fatal(err)
	}

	good := sign(t, signer, statement())
	payload := func() string {
		text, err := statement().Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// signed changes the text of a good statement and signs the result.
	signed := func(old, replacement string) []byte {
		text := payload()
		changed := strings.Replace(text, old, replacement, 1)
		if changed == text {
			t.Fatalf("the statement has no %s", old)
		}
		return signPayload(t, signer, []byte(changed))
	}
	// named gives a good statement's subject another name.
	named := func(name string) []byte {
		text := regexp.MustCompile(`"subject":\[\{"name":"[^"]*"`).ReplaceAllString(payload(), `"subject":[{"name":`+name)
		return signPayload(t, signer, []byte(text))
	}
	digest := attestation.Digest{0xab, 1}.Hex()
	envelope := func(edit func(envelope map[string]any)) []byte {
		var b map[string]any
		if err := json.Unmarshal(good, &b); err != nil {
			t.Fatal(err)
		}
		edit(b["dsseEnvelope"].(map[string]any))
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	finishedAt := func(at time.Time) []byte {
		st := statement()
		st.Builds[0].Finished = at.Truncate(time.Second)
		return sign(t, signer, st)
	}
	many := func(n int) []byte {
		var subjects strings.Builder
		for i := range n {
			fmt.Fprintf(&subjects, `{"name":"p/%d","digest":{"sha256":"%s"}},`, i, digest)
		}
		return signed(`"subject":[`, `"subject":[`+subjects.String())
	}
	// incompressible statements fit every limit but that of a ledger entry.
	wide := statement()
	wide.Subjects, wide.Builds[0].Outputs = nil, nil
	for i := range 2000 {
		wide.Builds[0].Outputs = append(wide.Builds[0].Outputs, i)
		d := sha(fmt.Sprint(i))
		wide.Subjects = append(wide.Subjects, attestation.Subject{Name: fmt.Sprintf("alice/wide-%x", d[:8]), Digest: d})
	}
	const malformed, forbidden, large = http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge
	return []badBundle{
		{"not JSON", []byte("hello"), malformed, "malformed", "not a Sigstore bundle in JSON: syntax error"},
		{"JSON, but not a bundle", []byte(`{}`), malformed, "malformed", `mediaType is "", want`},
		{"a bundle of another version", bytes.Replace(good, []byte("bundle.v0.3"), []byte("bundle.v0.1"), 1), malformed, "malformed", "bundle.v0.1+json"},
		{"another payload type", envelope(func(e map[string]any) { e["payloadType"] = "text/plain" }), malformed, "malformed", `payloadType is "text/plain"`},
		{"two signatures", envelope(func(e map[string]any) {
			e["signatures"] = append(e["signatures"].([]any), e["signatures"].([]any)...)
		}), malformed, "malformed", "2 signatures, want one"},
		{"a tampered payload", envelope(func(e map[string]any) {
			e["payload"] = base64.StdEncoding.EncodeToString([]byte(payload()))
		}), forbidden, "bad-signature", "signature does not verify"},
		{"a signature by another key", bytes.Replace(good, []byte(signer.Public().Hint()), []byte(other.Public().Hint()), 1), forbidden, "bad-signature", "or another key signed it"},
		{"a key that is not enrolled", sign(t, signingtest.New(t), statement()), forbidden, "not-enrolled", "ask for it with 'repronet-reporter enrol'"},
		{"an expired key", sign(t, expired, statement()), forbidden, "key-not-valid", "expired on 2026-01-02T03:04:05Z"},
		{"a key that is not valid yet", sign(t, early, statement()), forbidden, "key-not-valid", "not before 2199-01-02T03:04:05Z"},
		{"a revoked key", sign(t, revoked, statement()), forbidden, "key-not-valid", "was revoked from ledger index 4 on"},
		{"a payload that is not JSON", signPayload(t, signer, []byte("hello")), malformed, "malformed", "not JSON at byte 0"},
		{"a member twice", signed(`"subject":`, `"subject":[],"subject":`), malformed, "malformed", "/subject: the member occurs twice"},
		{"a member in another case", signed(`"subject":`, `"Subject":[],"subject":`), malformed, "malformed", "/Subject: unknown member (names are case-sensitive)"},
		{"an unknown member", signed(`"predicate":{`, `"predicate":{"hostname":"x",`), malformed, "malformed", "/predicate/hostname: unknown member"},
		{"text that is not UTF-8", signed(`alice/`, "alice/\xff"), malformed, "malformed", "not JSON at byte"},
		{"a wrong _type", signed("in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1"), malformed, "malformed", "_type is"},
		{"a wrong predicateType", signed("repronet.dev/rebuild/v1", "slsa.dev/provenance/v1"), malformed, "malformed", `predicateType "https://slsa.dev/provenance/v1" is not one of`},
		{"no subjects", signPayload(t, signer, []byte(regexp.MustCompile(`"subject":\[.*?\]`).ReplaceAllString(payload(), `"subject":[]`))), malformed, "malformed", "statement has no subjects"},
		{"5,000 subjects", many(4999), malformed, "malformed", "statement has 5000 subjects, at most 4096 are accepted: split it"},
		{"100,000 subjects", many(99_999), large, "too-large", "split the statement"},
		{"a name twice", signed(`"subject":[`, `"subject":[{"name":"p/f","digest":{"sha256":"`+digest+`"}},{"name":"p/f","digest":{"sha256":"`+digest+`"}},`), malformed, "malformed", `"p/f" is named twice`},
		{"a digest of a wrong length", signed(digest, digest[2:]), malformed, "malformed", "64 hexadecimal digits, this one has 62 characters"},
		{"a digest in upper case", signed(digest, strings.ToUpper(digest)), malformed, "malformed", "(lower case)"},
		{"a control character in a name", named(`"p/a\u001b[2Jb"`), malformed, "malformed", `it contains '\x1b'`},
		{"`../` in a name", named(`"p/../../etc/passwd"`), malformed, "malformed", `".." path segment`},
		{"`<script>` in a name", named(`"p/<script>alert(1)</script>"`), malformed, "malformed", `it contains '<'`},
		{"a trait that is not on the list", signed(`"predicate":{`, `"predicate":{"environment":{"hostname":"x"},`), malformed, "malformed", `"hostname" is not one of the traits`},
		{"an audience of no ledger", signed(`"predicate":{`, `"predicate":{"audience":[],`), malformed, "malformed", "audience has 0 ledgers"},
		{"a statement for another ledger", signed(`"predicate":{`, `"predicate":{"audience":["other.example/log"],`), malformed, "malformed", `it is for another ledger: it counts in ["other.example/log"], and this is "test.example/log"`},
		{"a clock a year ahead", finishedAt(time.Now().AddDate(1, 0, 0)), malformed, "clock", "is in the future: check the builder's clock"},
		{"a clock a year behind", finishedAt(time.Now().AddDate(-1, 0, 0)), malformed, "clock", "more than 300 days ago: check the builder's clock"},
		{"a statement that no ledger entry can hold", sign(t, signer, wide), large, "too-large", "larger than a ledger entry can hold (65535 bytes, compressed): split it"},
	}
}

// badRequest is a request that is refused as a whole.
type badRequest struct {
	input                 string
	body                  func() io.Reader
	contentType, encoding string
	status                int
	kind, detail          string
}

func badRequests(t *testing.T, bundle []byte) []badRequest {
	t.Helper()
	one := func() io.Reader { return bytes.NewReader(bundle) }
	zeros := func() io.Reader { return io.LimitReader(zero{}, 64<<20) }
	bomb := func(compress func(io.Writer) io.WriteCloser) func() io.Reader {
		packed := compressed(t, compress, zeros()).Bytes()
		return func() io.Reader { return bytes.NewReader(packed) }
	}
	lines := func() io.Reader { return strings.NewReader(strings.Repeat("\n", api.MaxRequestSize-1) + "x") }
	const tooLarge, mediaType = http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType
	return []badRequest{
		{"an empty body", func() io.Reader { return strings.NewReader("") }, api.BundleType, "", http.StatusBadRequest, "malformed", "The body is empty"},
		{"no Content-Type", one, "", "", mediaType, "media-type", "Content-Type must be " + api.BundleType},
		{"another Content-Type", one, "application/x-www-form-urlencoded", "", mediaType, "media-type", api.LinesType + " (one bundle a line)"},
		{"another Content-Encoding", one, api.BundleType, "br", mediaType, "media-type", `Content-Encoding "br" is neither gzip nor zstd`},
		{"a body that is not gzip, as it says", one, api.BundleType, "gzip", http.StatusBadRequest, "malformed", "The body cannot be read as gzip"},
		{"a body that is not zstd, as it says", one, api.BundleType, "zstd", http.StatusBadRequest, "malformed", "The body cannot be read as zstd"},
		{"a body of 64 MiB", zeros, api.BundleType, "", tooLarge, "too-large", "send fewer bundles at once"},
		{"a gzip bomb (64 kB that unpack to 64 MiB)", bomb(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }), api.BundleType, "gzip", tooLarge, "too-large", "unpacks to more than 100 times its size"},
		{"a zstd bomb (6 kB that unpack to 64 MiB)", bomb(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }), api.LinesType, "zstd", tooLarge, "too-large", "unpacks to more than 100 times its size"},
		{"16 million lines", lines, api.LinesType, "", tooLarge, "too-large", "bundles in one request, at most 1000 are accepted"},
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBadInput sends everything that docs/bad-input.md lists, alone and beside
// good statements, and holds the document to the answers.
func TestBadInput(t *testing.T) {
	s := newServer(t, ingest.Config{Origin: "test.example/log"}, nil)
	bad := badBundles(t, s)
	var document strings.Builder
	row := func(input string, p *api.Problem) {
		kind := strings.TrimPrefix(p.Type, "/docs/problems#")
		fmt.Fprintf(&document, "| %s | %d | `%s` | %s |\n", input, p.Status, kind, strings.ReplaceAll(anonymous(p.Detail), "|", `\|`))
	}
	document.WriteString("| request | status | kind | sentence |\n|---|---|---|---|\n")
	for _, test := range badRequests(t, sign(t, s.enrolled(t, "frank", nil), statement())) {
		t.Run(test.input, func(t *testing.T) {
			s.stored(t, 0, func() {
				a := s.post(t, test.body(), test.contentType, test.encoding)
				contains(t, a.problem, test.status, test.kind, test.detail)
				if a.problem != nil {
					row(test.input, a.problem)
				}
			})
		})
	}
	document.WriteString("\n| bundle | status | kind | sentence |\n|---|---|---|---|\n")
	signer := s.enrolled(t, "grace", nil)
	for _, test := range bad {
		t.Run(test.input, func(t *testing.T) {
			s.stored(t, 0, func() {
				a := s.submit(t, test.bundle)
				contains(t, a.problem, test.status, test.kind, test.detail)
				if a.problem != nil {
					row(test.input, a.problem)
				}
			})
		})
	}
	document.WriteString("\n| document | status | kind | sentence |\n|---|---|---|---|\n")
	for _, test := range badDocuments(t, s) {
		if p := s.relayLines(t, test.line)[0].Problem; p != nil {
			row(test.input, p)
		}
	}
	t.Run("beside good statements", func(t *testing.T) {
		first, last := sign(t, signer, statement()), sign(t, signer, statement())
		all := [][]byte{first}
		for _, test := range bad {
			if len(test.bundle) < 1<<20 { // all of them in one request
				all = append(all, test.bundle)
			}
		}
		all = append(all, last)
		s.stored(t, 2, func() {
			a := s.submitLines(t, all...)
			if len(a.results) != len(all) {
				t.Fatalf("%d answers to %d bundles: %v", len(a.results), len(all), a.problem)
			}
			s.accepted(t, a.results[0], first)
			s.accepted(t, a.results[len(all)-1], last)
			for i, r := range a.results[1 : len(all)-1] {
				if r.Problem == nil {
					t.Errorf("bad bundle %d was accepted", i)
				}
			}
		})
	})
	if !t.Failed() {
		docstest.BadInput(t, "aggregator/ingest", "end", document.String())
	}
}

// anonymous takes out of a sentence what differs from run to run.
func anonymous(sentence string) string {
	sentence = regexp.MustCompile(`\b[a-z2-7]{32}\b`).ReplaceAllString(sentence, "‹builder›")
	sentence = regexp.MustCompile(`finished on \S+,`).ReplaceAllString(sentence, "finished on ‹time›,")
	sentence = regexp.MustCompile(`\d+ bytes follow the first line, which names \d+ and \d+`).ReplaceAllString(sentence, "‹n› bytes follow the first line, which names ‹n› and ‹n›")
	sentence = regexp.MustCompile(`tool-\d+`).ReplaceAllString(sentence, "tool")
	return regexp.MustCompile(`(at byte|of) \d+( bytes)?`).ReplaceAllString(sentence, "$1 ‹n›$2")
}
func sha(text string) attestation.Digest { return sha256.Sum256([]byte(text)) }
