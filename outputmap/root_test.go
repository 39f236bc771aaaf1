package outputmap

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"repronet.dev/reading"
)

const rootText = `{"size":7,"leaves":2,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`

func TestRoot(t *testing.T) {
	want := Root{Size: 7, Leaves: 2, Hash: sha256.Sum256(nil)}
	body, err := want.Encode()
	if err != nil || string(body) != rootText {
		t.Fatalf("%s, %v, want %s", body, err, rootText)
	}
	for _, index := range []uint64{7, 8, 1 << 60} {
		if got, err := reading.ParseMapRoot(index, body); err != nil || got != want {
			t.Errorf("at %d: %v, %v", index, got, err)
		}
	}
}

func TestParseRootRefuses(t *testing.T) {
	edit := func(from, to string) string { return strings.Replace(rootText, from, to, 1) }
	for name, tc := range map[string]struct {
		body string
		at   uint64
		want string
	}{
		"nothing":                        {"", 9, "EOF"},
		"map of entries after it":        {rootText, 6, "not there yet"},
		"white space":                    {edit(":", ": "), 9, "not spelled"},
		"another order":                  {`{"leaves":2,"size":7,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`, 9, "not spelled"},
		"spelling of a number":           {edit("7", "7e0"), 9, "size"},
		"null":                           {edit("7", "null"), 9, "empty ledger"},
		"member missing":                 {edit(`"size":7,`, ""), 9, "empty ledger"},
		"member twice":                   {edit("{", `{"size":7,`), 9, "occurs twice"},
		"unknown member":                 {edit("{", `{"x":7,`), 9, "unknown"},
		"member of another case":         {edit("size", "Size"), 9, "unknown"},
		"negative":                       {edit("7", "-7"), 9, "size"},
		"size beyond 2^53":               {edit("7", "9007199254740993"), 1 << 60, "2^53"},
		"leaves beyond 2^53":             {edit("2", "9007199254740993"), 9, "2^53"},
		"short hash":                     {edit("SuFU=", "Su=="), 9, "hash"},
		"hash spelled with spare bits":   {edit("SuFU=", "SuFV="), 9, "not spelled"},
		"no leaves and a hash":           {`{"size":7,"leaves":0,"root":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`, 9, "without leaves"},
		"leaves of an empty ledger":      {edit("7", "0"), 9, "empty ledger"},
		"the first version written":      {edit("}", `,"rules":1}`), 9, "not written"},
		"something after the document":   {rootText + "\n", 9, "not spelled"},
		"another document after the end": {rootText + rootText, 9, "after"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := reading.ParseMapRoot(tc.at, []byte(tc.body))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, %v, want an error with %q", r, err, tc.want)
			}
		})
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add(uint64(7), []byte(rootText))
	f.Add(uint64(0), []byte(`{"size":0,"leaves":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`))
	f.Fuzz(func(t *testing.T, index uint64, body []byte) {
		root, err := reading.ParseMapRoot(index, body)
		if err != nil {
			return
		}
		if again, err := root.Encode(); err != nil || !bytes.Equal(again, body) {
			t.Errorf("%s came back as %s, %v", body, again, err)
		}
		if _, err := (&Proof{}).Verify(root, RosterKey()); (err == nil) != (root.Leaves == 0) {
			t.Errorf("%s: an empty proof: %v", body, err)
		}
	})
}
