package needtest_test

import (
	"testing"

	"repronet.dev/internal/needtest"
)

// recorder is a test that is ended by nothing, and says how it would be.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()               {}
func (r *recorder) Name() string          { return "TestX" }
func (r *recorder) Fatalf(string, ...any) { r.end("failed") }
func (r *recorder) Skip(...any)           { r.end("skipped") }

func (r *recorder) end(how string) {
	if r.ended == "" { // a real one ends at the first
		r.ended = how
	}
}

func TestMissing(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		if needtest.Program(r, "no-such-program", "nothing"); r.ended != want {
			t.Errorf("with CI=%q a test whose program is missing is %q, want %q", ci, r.ended, want)
		}
		there := &recorder{TB: t}
		if path := needtest.Program(there, "sh", "dash"); path == "" || there.ended != "" {
			t.Errorf("a test whose program is there: %q, %q", path, there.ended)
		}
	}
}
