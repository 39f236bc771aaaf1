package cli

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestJSONStaysJSON: what is printed as JSON, by whichever library, can be read and says
// the same, whatever its strings hold, and nothing of it acts on a terminal.
func TestJSONStaysJSON(t *testing.T) {
	type document struct{ Name, Reason string }
	printed := map[string]func(io.Writer, any) error{
		"document": JSON, "line": JSONLine,
		"standard library": func(w io.Writer, value any) error { return json.NewEncoder(w).Encode(value) },
	}
	for _, text := range []string{
		"plain\ttext\n", `back\slash"quote`, "\x00\x1b[2J\x1b]0;title\a", "over\rwritten\b\x7f", "\u0085\u009b2J",
		"abc\u202egpj.exe\u2066", "in\u200bvisible\ufeff\u2028\u2029", "\U000e0041 \U0001f642", "\\\u202e", "größer als 漢字",
		"no UTF-8: \xff\xc3(",
	} {
		for name, print := range printed {
			p := &Program{Name: "p", Commands: []Command{{Name: "c", Prepare: func(*flag.FlagSet) func(context.Context, *Env, []string) error {
				return func(_ context.Context, env *Env, _ []string) error { return print(env.Stdout, document{text, text}) }
			}}}}
			var stdout, stderr strings.Builder
			if status := p.Run(t.Context(), &Env{Stdout: &stdout, Stderr: &stderr}, []string{"c"}); status != OK {
				t.Fatalf("%s: %q: status %d, %s", name, text, status, stderr.String())
			}
			if strings.ContainsFunc(stdout.String(), acts) {
				t.Errorf("%s: %q is printed as %q", name, text, stdout.String())
			}
			var got document
			want := strings.ToValidUTF8(strings.ReplaceAll(text, "\xff\xc3", "\ufffd\ufffd"), "\ufffd")
			if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
				t.Errorf("%s: %q is printed as %q: %v", name, text, stdout.String(), err)
			} else if diff := cmp.Diff(document{want, want}, got); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", name, text, diff)
			}
		}
	}
}
