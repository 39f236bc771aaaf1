package rebuild

import (
	"bytes"
	"io"
)

// A tail keeps the end of what is written to it.
type tail struct {
	limit int
	text  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.text.Write(p)
	if over := t.text.Len() - t.limit; over > t.limit {
		t.text.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	text := t.text.Bytes()
	return string(text[max(0, len(text)-t.limit):])
}

// A limited passes on what is first written to it, and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(l.left, len(p))
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
