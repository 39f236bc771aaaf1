package cli_test

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/cli"
)

func TestManual(t *testing.T) {
	manual := &cli.Manual{Program: program(), Version: "v1.2.3", Date: time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)}
	pages := manual.Pages()
	names := []string{"greeter", "greeter-completion", "greeter-greet", "greeter-greet-all", "greeter-version", "greeter-wave-left", "greeter-wave-right"}
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(pages))); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"greeter", "greeter-greet"} {
		golden := "testdata/" + name + ".1"
		if *update {
			if err := os.WriteFile(golden, pages[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(pages[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
