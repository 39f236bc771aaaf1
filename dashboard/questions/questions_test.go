package questions_test

import (
	"strings"
	"testing"

	"repronet.dev/dashboard/questions"
)

// TestAll: each question says what it answers, and what shares in it are of.
func TestAll(t *testing.T) {
	all, err := questions.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if !strings.HasSuffix(q.Answers, ".") || !strings.HasSuffix(q.Denominator, ".") || strings.Contains(q.SQL, "--") {
			t.Errorf("%+v", q)
		}
	}
}
