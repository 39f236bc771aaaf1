package chdb

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNewException(t *testing.T) {
	for _, test := range []struct {
		message string
		code    int
		text    string
	}{
		{"Code: 60. DB::Exception: Unknown table 't'. (UNKNOWN_TABLE)", 60, "Code: 60. DB::Exception: Unknown table 't'. (UNKNOWN_TABLE)"},
		{"  Code: 241. DB::Exception: Memory\n", 241, "Code: 241. DB::Exception: Memory"},
		{"Invalid or closed connection", 1002, "Code: 1002. DB::Exception: Invalid or closed connection (UNKNOWN_EXCEPTION)"},
		{"Code: 0. nothing", 1002, "Code: 1002. DB::Exception: Code: 0. nothing (UNKNOWN_EXCEPTION)"},
	} {
		if got := newException(test.message); got.code != test.code || got.message != test.text {
			t.Errorf("newException(%q) = %d, %q; want %d, %q", test.message, got.code, got.message, test.code, test.text)
		}
	}
}

func FuzzException(f *testing.F) {
	f.Add("Code: 60. DB::Exception: Unknown table")
	f.Add("Code: 99999999999999999999. x")
	f.Add(strings.Repeat("ü", maxExceptionText))
	f.Fuzz(func(t *testing.T, message string) {
		e := newException(message)
		if e.code <= 0 || e.message == "" {
			t.Errorf("%q gives %+v", message, e)
		}
		framed := e.framed()
		if len(framed) > 16<<10 {
			t.Errorf("the frame has %d bytes", len(framed))
		}
		if utf8.ValidString(message) && !utf8.Valid(framed) {
			t.Errorf("the frame cuts a character: %q", framed)
		}
	})
}
