package http

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGrowing reads a file while it is written.
func TestGrowing(t *testing.T) {
	file, err := newGrowing(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	broken := errors.New("broken")
	read := make(chan string)
	go func() {
		buffer := make([]byte, 3)
		for at := int64(0); ; {
			n, err := file.read(t.Context(), buffer, at)
			at += int64(n)
			if err != nil {
				read <- err.Error()
				return
			}
			read <- string(buffer[:n])
		}
	}()
	var got []string
	for _, part := range []string{"one ", "two"} {
		if _, err := file.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(part); n += len(got[len(got)-1]) {
			got = append(got, <-read)
		}
	}
	file.end(broken)
	got = append(got, <-read)
	if diff := cmp.Diff([]string{"one", " ", "two", "broken"}, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	waiting, err := newGrowing(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.close()
	if _, err := waiting.read(gone, make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("reading for who is gone: %v", err)
	}
}
