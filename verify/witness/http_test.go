package witness

import (
	"bytes"
	"testing"
)

func FuzzRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nexample.org/log\n1\nAAAA\n\n— example.org/log AAAA\n"))
	f.Add([]byte("old 20\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nx"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err == nil && (len(r.proof) > maxProof || !bytes.HasSuffix(body, r.checkpoint)) {
			t.Errorf("%q was read as %+v", body, r)
		}
	})
}
