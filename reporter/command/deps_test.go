package command

import (
	"os/exec"
	"strings"
	"testing"
)

// The program of a volunteer has no server in it, and nothing that would make
// every start of a hook slow.
func TestDependencies(t *testing.T) {
	t.Parallel()
	for tags, forbidden := range map[string][]string{
		"":         {"github.com/gin-gonic/", "github.com/ClickHouse/", "github.com/transparency-dev/tessera", "github.com/sigstore/sigstore-go", "repronet.dev/aggregator", "repronet.dev/dashboard", "repronet.dev/verify"},
		"nolibp2p": {"libp2p", "quic-go"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-deps", "repronet.dev/cmd/repronet-reporter").Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.Lines(string(out)) {
			for _, name := range forbidden {
				if strings.Contains(dep, name) {
					t.Errorf("tags %q: %s is in the program", tags, strings.TrimSpace(dep))
				}
			}
		}
	}
}
