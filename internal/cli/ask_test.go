package cli_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"repronet.dev/internal/cli"
)

// TestAskNobody: what is piped in is no answer.
func TestAskNobody(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("yes\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]*cli.Env{"a pipe": {Stdin: read}, "a reader": {Stdin: strings.NewReader("yes\n")}} {
		var stderr bytes.Buffer
		env.Stderr = &stderr
		if yes, err := cli.Ask(env, "Sure?"); yes || !errors.Is(err, cli.ErrNoTerminal) || stderr.Len() > 0 {
			t.Errorf("%s: %t, %v, %q", name, yes, err, stderr.String())
		}
	}
}
