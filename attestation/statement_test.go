package attestation_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

const (
	hello    = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.1"
	helloDrv = "/nix/store/1c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.1.drv"
	floating = "/nix/store/2c7q8xqnp0zbgwp3jlirznfdlp2xrmds-floating.drv"
	stream   = "00112233445566778899aabbccddeeff"
)

var finished = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func digest(b byte) attestation.Digest {
	var d attestation.Digest
	for i := range d {
		d[i] = b
	}
	return d
}

// rebuild returns a statement that uses every member a rebuild can have.
func rebuild() *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{
			{Name: hello, Digest: digest(0xaa)},
			{Name: hello + "-man", Digest: digest(0xbb)},
			{Name: floating + "^out", Digest: digest(0xcc)},
		},
		Chain: attestation.Chain{
			Stream: stream, Sequence: 41, Previous: digest(0x11), Skipped: []attestation.Digest{digest(0x12), digest(0x13)},
		},
		Environment: map[string]string{"system": "x86_64-linux", "nix": "2.28.3", "tz": "+01:00", "cpu": "Ryzen™ 7"},
		Audience:    []string{"repro.example.org/2026", "localhost:8080/repronet"},
		Builds: []attestation.Build{
			{
				Name: helloDrv, Outputs: []int{0, 1}, Started: finished.Add(-time.Minute), Finished: finished,
				Occasion: attestation.OccasionBuild, InputsDigest: digest(0xdd),
			},
			{Name: floating, Outputs: []int{2}, Finished: finished, Occasion: attestation.OccasionRebuild},
		},
	}
}

func buildFailed() *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.BuildFailed, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/tool-1.0", Digest: digest(1)}},
		Builds: []attestation.Build{{
			Name: "alice/tool-1.0", Outputs: []int{0}, Finished: finished,
			Occasion: attestation.OccasionBuild, Failure: "exit status 2",
		}},
	}
}

func withdraw() *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "debian", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "hello@2.10-3/amd64^hello_2.10-3_amd64.deb", Digest: digest(1)}},
		Reason:   "disk was failing",
	}
}

func TestRoundTrip(t *testing.T) {
	for name, statement := range map[string]*attestation.Statement{
		"rebuild": rebuild(), "build-failed": buildFailed(), "withdraw": withdraw(),
	} {
		t.Run(name, func(t *testing.T) {
			payload, err := statement.Encode()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := attestation.Parse(payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(statement, parsed); diff != "" {
				t.Errorf("Parse(Encode(s)) differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	first, err := rebuild().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // the order of a map differs from one walk to the next
		again, err := rebuild().Encode()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Fatalf("two encodings of one statement differ:\n%s", diff)
		}
	}
}

func TestEncodeWritesUTC(t *testing.T) {
	s := rebuild()
	s.Builds[0].Finished = finished.In(time.FixedZone("", 3600))
	payload, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := `"finishedOn":"2026-03-01T12:00:00.123456789Z"`; !strings.Contains(string(payload), want) {
		t.Errorf("payload lacks %s:\n%s", want, payload)
	}
}

// TestValidate has a case for each rule. Encode must refuse what Validate
// refuses.
func TestValidate(t *testing.T) {
	long := strings.Repeat("a", 600)
	many := make([]attestation.Subject, attestation.MaxSubjects+1)
	for i := range many {
		many[i] = attestation.Subject{Name: fmt.Sprintf("%s-%d", hello, i), Digest: digest(1)}
	}
	tests := []struct {
		name   string
		base   func() *attestation.Statement
		change func(*attestation.Statement)
		want   string
	}{
		{"type", rebuild, func(s *attestation.Statement) { s.Type = "https://example.org/x" }, `predicateType "https://example.org/x" is not one of`},
		{"no type", rebuild, func(s *attestation.Statement) { s.Type = "" }, `predicateType "" is not one of`},
		{"ecosystem", rebuild, func(s *attestation.Statement) { s.Ecosystem = "Nix" }, `ecosystem "Nix" is not`},
		{"long ecosystem", rebuild, func(s *attestation.Statement) { s.Ecosystem = long }, "is not 1 to 32 characters"},
		{"digest kind", rebuild, func(s *attestation.Statement) { s.DigestKind = "tar" }, `digestKind "tar" is neither "nar" nor "file"`},
		{"no subjects", rebuild, func(s *attestation.Statement) { s.Subjects = nil }, "no subjects"},
		{"too many subjects", rebuild, func(s *attestation.Statement) { s.Subjects = many }, "4097 subjects, at most 4096 are accepted: split it"},
		{"subject twice", rebuild, func(s *attestation.Statement) { s.Subjects[1].Name = hello }, "subject 1: \"" + hello + "\" is named twice"},
		{"subject without digest", rebuild, func(s *attestation.Statement) { s.Subjects[1].Digest = attestation.Digest{} }, "has no sha256 digest"},
		{"subject's name", rebuild, func(s *attestation.Statement) { s.Subjects[1].Name = "/nix/store/../etc" }, "subject 1: output key"},
		{"no builds", rebuild, func(s *attestation.Statement) { s.Builds = nil }, "no builds"},
		{"build's name", rebuild, func(s *attestation.Statement) { s.Builds[0].Name = hello }, "named by its derivation's store path"},
		{"build without outputs", rebuild, func(s *attestation.Statement) { s.Builds[0].Outputs = nil }, "has no outputs"},
		{"output beyond the subjects", rebuild, func(s *attestation.Statement) { s.Builds[0].Outputs = []int{0, 3} }, "output 3 is not among the 3 subjects"},
		{"negative output", rebuild, func(s *attestation.Statement) { s.Builds[0].Outputs = []int{-1} }, "output -1 is not among"},
		{"subject of two builds", rebuild, func(s *attestation.Statement) { s.Builds[1].Outputs = []int{1, 2} }, "subject 1 belongs to another build already"},
		{"subject of no build", rebuild, func(s *attestation.Statement) { s.Builds[0].Outputs = []int{0} }, "subject 1 belongs to no build"},
		{"output of another build", rebuild, func(s *attestation.Statement) {
			s.Builds[0].Outputs, s.Builds[1].Outputs = []int{0, 2}, []int{1}
		}, "is not an output of"},
		{"no finish", rebuild, func(s *attestation.Statement) { s.Builds[0].Finished = time.Time{} }, "finishedOn is missing"},
		{"finish out of range", rebuild, func(s *attestation.Statement) { s.Builds[0].Finished = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC) }, "finishedOn is missing, or not between the years"},
		{"finish out of range in UTC", rebuild, func(s *attestation.Statement) {
			s.Builds[1].Finished = time.Date(1990, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
		}, "not between the years"},
		{"start out of range", rebuild, func(s *attestation.Statement) { s.Builds[0].Started = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) }, "startedOn is missing, or not between"},
		{"start after finish", rebuild, func(s *attestation.Statement) { s.Builds[0].Started = finished.Add(1) }, "startedOn is after finishedOn"},
		{"no occasion", rebuild, func(s *attestation.Statement) { s.Builds[0].Occasion = "" }, `occasion "" is neither "build" nor "rebuild"`},
		{"failure of a build that worked", rebuild, func(s *attestation.Statement) { s.Builds[0].Failure = "x" }, "failure belongs to"},
		{"reason of a rebuild", rebuild, func(s *attestation.Statement) { s.Reason = "x" }, "reason belongs to"},
		{"stream", rebuild, func(s *attestation.Statement) { s.Chain.Stream = "AA" + stream[2:] }, "stream is not 32 lower-case"},
		{"chain without a stream", rebuild, func(s *attestation.Statement) { s.Chain.Stream = "" }, "need a stream"},
		{"first with previous", rebuild, func(s *attestation.Statement) { s.Chain.Sequence = 0 }, "every statement of a stream but the first"},
		{"later without previous", rebuild, func(s *attestation.Statement) { s.Chain.Previous = attestation.Digest{} }, "every statement of a stream but the first"},
		{"sequence", rebuild, func(s *attestation.Statement) { s.Chain.Sequence = math.MaxUint64 }, "beyond 2^53"},
		{"too many skipped", rebuild, func(s *attestation.Statement) { s.Chain.Skipped = make([]attestation.Digest, 65) }, "65 skipped payloads, at most 64"},
		{"empty skipped", rebuild, func(s *attestation.Statement) { s.Chain.Skipped = make([]attestation.Digest, 1) }, "skipped names an empty digest"},
		{"trait", rebuild, func(s *attestation.Statement) { s.Environment["hostname"] = "x" }, `"hostname" is not one of the traits`},
		{"long trait", rebuild, func(s *attestation.Statement) { s.Environment["cpu"] = long }, "environment: cpu: longer than 128 bytes"},
		{"trait with a control character", rebuild, func(s *attestation.Statement) { s.Environment["cpu"] = "a\x1b[31m" }, "environment: cpu: contains U+001B"},
		{"trait with reversed text", rebuild, func(s *attestation.Statement) { s.Environment["cpu"] = "a\u202eb" }, "contains U+202E"},
		{"trait that is not UTF-8", rebuild, func(s *attestation.Statement) { s.Environment["cpu"] = "a\xff" }, "contains U+FFFD"},
		{"failure without a word", buildFailed, func(s *attestation.Statement) { s.Builds[0].Failure = "" }, "says in failure how it failed"},
		{"failure of two lines", buildFailed, func(s *attestation.Statement) { s.Builds[0].Failure = "a\nb" }, "failure: contains U+000A"},
		{"failure of another recipe", buildFailed, func(s *attestation.Statement) { s.Subjects[0].Name = "alice/other" }, "is not the recipe"},
		{"failure without an occasion", buildFailed, func(s *attestation.Statement) { s.Builds[0].Occasion = "x" }, `occasion "x"`},
		{"withdrawal of a build", withdraw, func(s *attestation.Statement) { s.Builds = buildFailed().Builds }, "a withdrawal names outputs, not builds"},
		{"long reason", withdraw, func(s *attestation.Statement) { s.Reason = long }, "reason: longer than 512 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := test.base()
			if err := s.Validate(); err != nil {
				t.Fatalf("the statement before the change: %v", err)
			}
			test.change(s)
			wantError(t, s.Validate(), test.want)
			_, err := s.Encode()
			wantError(t, err, test.want)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
	if err != nil && len(err.Error()) > 700 {
		t.Errorf("the error repeats too much of the input (%d bytes)", len(err.Error()))
	}
}

func TestCheckClock(t *testing.T) {
	for name, test := range map[string]struct {
		now  time.Time
		want string // "" for none
	}{
		"at once":                  {finished, ""},
		"clock a little ahead":     {finished.Add(-14 * time.Minute), ""},
		"clock ahead":              {finished.Add(-16 * time.Minute), "in the future: check the builder's clock"},
		"after months without net": {finished.Add(299 * 24 * time.Hour), ""},
		"clock a year behind":      {finished.Add(365 * 24 * time.Hour), "more than 300 days ago: check the builder's clock"},
		"clock a year ahead":       {finished.Add(-365 * 24 * time.Hour), "in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			err := rebuild().CheckClock(test.now)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want)
			}
		})
	}
}
