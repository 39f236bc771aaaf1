package command

import (
	"flag"
	"strings"
	"testing"
)

// TestSynopses: a synopsis names each option, or says that there are more.
func TestSynopses(t *testing.T) {
	t.Parallel()
	for _, c := range Program().Commands {
		if strings.Contains(c.Synopsis, "[OPTIONS]") {
			continue
		}
		flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
		c.Prepare(flags)
		flags.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(c.Synopsis, "--"+f.Name) {
				t.Errorf("%s: --%s is not in %q", c.Name, f.Name, c.Synopsis)
			}
		})
	}
}
