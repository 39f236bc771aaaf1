// Package canonicaltest tries readers of one spelling against strict parsers, on many texts
// that are almost right.
package canonicaltest

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Compare gives differ a number of mutations of texts, from several goroutines. differ reads each
// in both ways, reports whether the reader of one spelling accepted it, and returns an error
// if the strict parser did not read the same. A number of them have to be accepted, so that
// something is compared.
func Compare(t *testing.T, inputs int, texts [][]byte, differ func(text []byte) (accepted bool, err error)) {
	t.Helper()
	for _, text := range texts {
		if accepted, err := differ(text); err != nil || !accepted {
			t.Fatalf("%s\naccepted %t, %v", text, accepted, err)
		}
	}
	var accepted atomic.Int64
	var workers sync.WaitGroup
	each := inputs / runtime.GOMAXPROCS(0)
	for worker := range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 20261130))
			var room []byte
			for range each {
				room = mutate(random, append(room[:0], texts[random.IntN(len(texts))]...), texts)
				same, err := differ(room)
				if err != nil {
					t.Errorf("%q: %v", room, err)
					return
				}
				if same {
					accepted.Add(1)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d mutations of %d texts: %d were accepted, and read alike by the strict parser", inputs, len(texts), accepted.Load())
	if int(accepted.Load()) < inputs/1000 {
		t.Error("hardly any was accepted")
	}
}

// spellings are what the forms of JSON, times, numbers and base 64 turn on.
var spellings = []string{
	"", " ", "\n", "\t", ",", ", ", ":", "\"", "\\", "\\\"", "\\u0041", "{", "}", "[", "]", "{}", "[]", "null", "true", "0", "00", "-1", "1", "9",
	"18446744073709551616", "999999999999999999", "1.0", "1e0", "=", "==", "-", "_", "+", "/", "A", "a", "F", "g", "\x00", "\x7f", "\x80", "é", "\xef\xbb\xbf",
	"Z", "z", ".5", ".500", ".", "+00:00", "2026-02-29T00:00:00Z", "2024-02-29T23:59:59Z", "23:59:60", "24:00:00", "T", "t", ",5Z", "2026-13-01", "0000",
	`"sequence":0,`, `"stream":"",`, `"reason":"",`, `"audience":[],`, `"skipped":[],`, `"environment":{},`, `"keyid":"",`, `"certificate":{},`, `"startedOn":"2026-01-02T03:04:05Z",`,
}

// mutate changes a text in one to three places.
func mutate(random *rand.Rand, text []byte, texts [][]byte) []byte {
	for range 1 + random.IntN(3) {
		at := random.IntN(len(text) + 1)
		end := min(len(text), at+random.IntN(12))
		switch random.IntN(7) {
		case 0: // another byte
			if at < len(text) {
				text[at] = byte(random.IntN(256))
			}
		case 1: // a digit or letter for another
			if at < len(text) {
				text[at] = "0123456789abcdefghijklmnopqrstuvwxyzABCXYZ+/-."[random.IntN(46)]
			}
		case 2: // something left out
			text = append(text[:at], text[end:]...)
		case 3: // something twice
			text = insert(text, at, text[at:end])
		case 4: // a spelling put in
			text = insert(text, at, []byte(spellings[random.IntN(len(spellings))]))
		case 5: // a spelling instead
			with := spellings[random.IntN(len(spellings))]
			text = append(text[:at], text[end:]...)
			text = insert(text, at, []byte(with))
		case 6: // the end of another text
			other := texts[random.IntN(len(texts))]
			text = append(text[:at], other[min(at, len(other)):]...)
		}
		if len(text) == 0 {
			return text
		}
	}
	return text
}

func insert(text []byte, at int, what []byte) []byte {
	tail := append(append([]byte(nil), what...), text[at:]...)
	return append(text[:at], tail...)
}
