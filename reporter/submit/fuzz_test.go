package submit_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/reporter/submit"
)

// No answer that an aggregator can make up is a verified receipt, or stops the
// reporter.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"receipt":{"index":0,"entry":"AQ==","proof":[],"checkpoint":"x"}}`))
	f.Add([]byte(`{"problem":{"type":"x","title":"y","status":400,"detail":"z"}}`))
	f.Add([]byte("\n"))
	f.Add([]byte(`{}{}`))
	_, text, err := note.GenerateKey(rand.Reader, "log.example/x")
	if err != nil {
		f.Fatal(err)
	}
	key, err := note.NewVerifier(text)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		client := &submit.Client{
			LogKey: key,
			API:    &api.Client{Base: "http://aggregator.example", HTTP: &http.Client{Transport: answer(body)}},
		}
		answers, _ := client.Submit(t.Context(), []submit.Bundle{{JSON: []byte("{}"), Payload: attestation.Digest{1}}})
		for _, a := range answers {
			if a.Receipt != nil {
				t.Errorf("%q is a receipt", body)
			}
			if a.Problem == nil && a.Err == nil {
				t.Errorf("%q is nothing", body)
			}
		}
	})
}

type answer []byte

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {api.LinesType}}, Body: io.NopCloser(bytes.NewReader(a)),
	}, nil
}
