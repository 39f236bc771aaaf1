package rebuild

import "bytes"

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
