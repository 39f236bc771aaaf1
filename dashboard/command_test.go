package dashboard

import (
	"os/exec"
	"strings"
	"testing"
)

// TestQuote lets a real shell read the words.
func TestQuote(t *testing.T) {
	for _, word := range []string{
		"/nix/store/a-b.drv", "a^*", "$(touch /tmp/x)", "`id`", "it's", `"; rm -rf ~; "`, "a b", "a\\b", "!!", "*", "~root", "é", "&&", "#x", "=x", "%s",
	} {
		quoted, ok := quote(word)
		if !ok {
			t.Errorf("%q is refused", word)
			continue
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s|' "+quoted).Output()
		if err != nil || string(out) != word+"|" {
			t.Errorf("the shell reads %s as %q (%v), want %q", quoted, out, err, word)
		}
	}
	for _, word := range []string{"", "-rf", "--store=/tmp", "a\nb", "a\x00b", "\x1b[2J", "a\u202eb", "a\u2028b"} {
		if quoted, ok := quote(word); ok {
			t.Errorf("%q is quoted as %s, want it refused", word, quoted)
		}
	}
}

func TestCommands(t *testing.T) {
	const base = "5rzw47q0l3fgxz722bql57h972ghq9b3-x"
	for _, c := range []struct {
		build *Build
		want  []string
	}{
		{&Build{Ecosystem: "nix", Name: "/nix/store/" + base + ".drv"}, []string{"nix-build /nix/store/" + base + ".drv --check -K"}},
		{&Build{Ecosystem: "guix", Name: "/gnu/store/" + base + ".drv"}, []string{"guix build /gnu/store/" + base + ".drv --check --keep-failed"}},
		{&Build{Ecosystem: "go", Name: "example.org/tool@v1.2.3"}, []string{
			`CGO_ENABLED=0 GOBIN="$(mktemp -d)" go install -trimpath example.org/tool@v1.2.3`,
		}},
		{&Build{Ecosystem: "generic", Name: "me/it", Outputs: []Output{{OutputRow: OutputRow{Key: "me/it^out", Output: "out"}}}}, []string{
			"repronet-reporter exec --ecosystem generic --build me/it \\\n    --output out=PATH \\\n    -- YOUR BUILD COMMAND",
		}},
		{&Build{Ecosystem: "release", Name: "me/it's", Outputs: []Output{{OutputRow: OutputRow{Key: "me/it's"}}}}, []string{
			"repronet-reporter exec --ecosystem release --build me \\\n    --output 'it'\\''s'=PATH \\\n    -- YOUR BUILD COMMAND",
		}},
		{&Build{Ecosystem: "generic", Name: "me/file", Outputs: []Output{{OutputRow: OutputRow{Key: "me/file"}}}}, nil},
		{&Build{Ecosystem: "nix", Name: "a\nb.drv"}, nil},
	} {
		var got []string
		for _, command := range rebuildCommands(c.build) {
			got = append(got, command.Text)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q, want %q", c.build.Name, got, c.want)
		}
	}
	if verify := verifyCommands(&Build{Ecosystem: "go", Outputs: []Output{{OutputRow: OutputRow{Key: "a b"}}}}, "https://x.example"); len(verify) != 2 ||
		verify[0].Text != "repronet-verify pin --aggregator https://x.example" || verify[1].Text != "repronet-verify output 'a b' --quorum 2 --ecosystem go" {
		t.Errorf("verify by %q", verify)
	}
	outputs := []Output{{OutputRow: OutputRow{Key: "/nix/store/a"}}, {OutputRow: OutputRow{Key: "/nix/store/b"}}, {OutputRow: OutputRow{Key: "/nix/store/c", Shape: "split"}}}
	if verify := verifyCommands(&Build{Ecosystem: "nix", Outputs: outputs}, "https://x.example"); len(verify) != 3 ||
		verify[1].Text != "repronet-verify output /nix/store/c --quorum 2" || verify[2].Text != "repronet-verify output /nix/store/a --quorum 2" {
		t.Errorf("verify what diverged by %q", verify)
	}
}
