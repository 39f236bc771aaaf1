package attestation

import "testing"

// TestDecodeStrict: the sentence for each way in which a document is wrong, which is the
// same in each process.
func TestDecodeStrict(t *testing.T) {
	type document struct {
		Name string `json:"name"`
		List []struct {
			Size int `json:"size"`
		} `json:"list"`
	}
	for text, want := range map[string]string{
		`{"name":"a","list":[{"size":1}]}`: "",
		`{"nam":"a"}`:                      "/nam: unknown member (names are case-sensitive)",
		`{"Name":"a"}`:                     "/Name: unknown member (names are case-sensitive)",
		`{"list":[{"size":1,"x":1}]}`:      "/list/0/x: unknown member (names are case-sensitive)",
		`{"name":1}`:                       "/name: a number has no place here",
		`{"list":[{"size":"1"}]}`:          "/list/0/size: a string has no place here",
		`[]`:                               "the document: an array has no place here",
		`{"name":"a","name":"b"}`:          "/name: the member occurs twice",
		`{"name":"a`:                       "not JSON at byte 10: unexpected EOF",
		`{} {}`:                            "not JSON at byte 3: invalid character '{' after top-level value",
	} {
		got := ""
		if err := DecodeStrict([]byte(text), &document{}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
