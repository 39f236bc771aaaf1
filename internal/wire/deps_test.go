package wire

import (
	"os/exec"
	"strings"
	"testing"
)

// A reporter built with the tag has no libp2p in it only as long as nothing that
// is always built imports any.
func TestNoLibp2pWithTag(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags", "nolibp2p", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		if strings.Contains(dep, "libp2p") || strings.Contains(dep, "quic-go") {
			t.Errorf("with the tag nolibp2p there still is %s", dep)
		}
	}
}
