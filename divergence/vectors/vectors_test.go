package vectors_test

import (
	"strings"
	"testing"

	"repronet.dev/divergence/vectors"
)

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"claim a X":                       "line 1: \"claim\" before the first case",
		"case x\n\nclaim a":               "line 3: \"claim\" with 1 arguments",
		"case x\nexpect single":           "line 2: \"expect\" with 1 arguments",
		"case x\nexpect single one 1":     "line 2: malformed expectation",
		"case x\nexpect diverged 2 2":     "line 2: malformed expectation",
		"case x\nexpect single 1 1 a b":   "line 2: malformed expectation",
		"case x\nrevoke a soon":           "line 2:",
		"case x\nvouch a # and a comment": "line 2: \"vouch\"",
	} {
		t.Run(text, func(t *testing.T) {
			if _, err := vectors.Parse(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
