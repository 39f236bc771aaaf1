package command

import (
	"errors"
	"strings"
	"testing"

	"repronet.dev/internal/cli"
	"repronet.dev/reporter"
)

// TestPassResult: all that went wrong in a pass is said, and the worst of it decides the
// exit status.
func TestPassResult(t *testing.T) {
	torn := errors.New("the connection was torn")
	for _, tt := range []struct {
		report reporter.Report
		err    error
		status int
		want   []string
	}{
		{reporter.Report{Held: 1, HeldReason: "not enrolled", Reason: "the disk is full"}, torn, 1, []string{"statements: not enrolled", "torn"}},
		{reporter.Report{Held: 1, HeldReason: "not enrolled", Refused: 2}, nil, 1, []string{"not enrolled", "refused 2 statements"}},
		{reporter.Report{Refused: 2}, torn, 1, []string{"refused 2 statements", "torn"}},
		{reporter.Report{Left: 1}, torn, exitTryLater, []string{"torn"}},
		{reporter.Report{Left: 1}, nil, exitTryLater, []string{"try again later"}},
	} {
		err := passResult(&tt.report, tt.err)
		status := 1
		if exit, ok := errors.AsType[*cli.ExitError](err); ok {
			status = exit.Status
		}
		if err == nil || status != tt.status {
			t.Errorf("%+v: status %d, %v", tt.report, status, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", tt.report, err, want)
			}
		}
	}
	if err := passResult(&reporter.Report{Acknowledged: 1}, nil); err != nil {
		t.Error(err)
	}
}
