package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/internal/needtest"
)

// nixStore returns the root of a Nix store in which everything of the set was built.
func (c *commandWorld) nixStore(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 || !network.HasNix() {
		needtest.Lacking(t, "NO NIX")
	}
	return filepath.Join(c.dir, "carol", "store")
}

// nixShell is dora's, with a store at /nix in which the set was built.
func (c *commandWorld) nixShell(t *testing.T) *shell {
	t.Helper()
	s := c.dora(t)
	s.nix = c.nixStore(t)
	s.env = append(s.env, "NIX_CONFIG=build-users-group =\nsandbox = true\nexperimental-features = nix-command flakes\nsubstituters =\n")
	return s
}

// nixRebuild builds again. What diverges for builders differs for one of them as well.
func (c *commandWorld) nixRebuild(t *testing.T, command pageCommand) {
	s := c.nixShell(t)
	r := s.run(t, command.line)
	differs := strings.Contains(r.said(), "may not be deterministic")
	if (r.status != 0) != differs {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	for _, o := range command.outputs {
		if o.Verdict == api.Reproduced && differs && strings.Contains(r.said(), o.Key+"'") {
			t.Errorf("%s is reproduced, and differs here: %s", o.Key, r.said())
		}
	}
	if differs && !slices.ContainsFunc(command.outputs, func(o dashboard.Output) bool { return strings.Contains(r.said(), o.Key) }) {
		t.Errorf("it is about another build: %s", r.said())
	}
}

// nixAttest attests what a build that differed left, and nothing where it did not differ.
func (c *commandWorld) nixAttest(t *testing.T, command pageCommand) {
	_, kept, found := strings.Cut(command.line, "=")
	i := slices.IndexFunc(command.outputs, func(o dashboard.Output) bool { return o.Key+".check" == kept })
	if !found || i < 0 {
		t.Fatal("it is about no output of the page")
	}
	s := c.nixShell(t)
	before := c.claimsOf(t, "dora", command.outputs)
	_, err := os.Lstat(filepath.Join(s.nix, kept))
	r := s.run(t, command.line)
	if err != nil {
		if r.status != 1 || !strings.Contains(r.stderr, kept) {
			t.Errorf("nothing differed: status %d: %s", r.status, r.said())
		}
		return
	}
	if r.status != 0 || !strings.HasSuffix(r.stdout, "  "+command.outputs[i].Key+"\n") {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	c.reported(t, command, before, command.outputs[i].Key)
}
