package rebuild

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// ended is how a shell ends with a status.
func ended(t *testing.T, status string) error {
	t.Helper()
	return exec.CommandContext(t.Context(), "sh", "-c", "exit "+status).Run()
}

// TestFailureOf has what Nix says when a build comes to nothing: only of the builder's own
// failing is a failure published.
func TestFailureOf(t *testing.T) {
	t.Parallel()
	const drv = "/nix/store/00000000000000000000000000000000-a.drv"
	for _, test := range []struct{ status, said, want string }{
		{"100", "error: builder for '" + drv + "' failed with exit code 3;\n", "the builder exited with status 3"},
		{"100", "error: builder for '" + drv + "' failed due to signal 9 (Killed)", "the builder was ended by signal 9"},
		{"100", "error: builder for '" + drv + "' failed to produce output path for output 'out'", "the builder did not make all outputs"},
		{"1", "error: Cannot build '" + drv + "'.\n       Reason: builder failed with exit code 3.", ""}, // not its status
		{"100", "error: Cannot build '" + drv + "'.\n       Reason: builder failed with exit code 4.", "the builder exited with status 4"},
		{"101", "timed out after 2 seconds", "the builder was ended after 2s"},
		{"100", "error: builder for '" + strings.Replace(drv, "-a", "-b", 1) + "' failed with exit code 3", ""},
		{"100", "error: a 'aarch64-linux' with features {} is required to build '" + drv + "', but I am a 'x86_64-linux'", ""},
		{"1", "error: cannot set up a private mount namespace", ""},
	} {
		got := failureOf(&nixError{name: "nix-store", said: test.said, err: ended(t, test.status)}, drv, Limits{Time: 2 * time.Second})
		f, failed := errors.AsType[*failure](got)
		if failed != (test.want != "") || failed && f.sentence != test.want {
			t.Errorf("status %s, %q: %v, want %q", test.status, test.said, got, test.want)
		}
	}
}
