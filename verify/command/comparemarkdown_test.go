package command

import (
	"fmt"
	"strings"
	"testing"

	"repronet.dev/verify"
	"repronet.dev/verify/compare"
	"repronet.dev/verify/policy"
)

// hostile are names that would act in a comment.
func hostile() []string {
	return []string{
		"", " ", "`", "``", " ` ", "a`b``c```d", "|x|y|", "<img src=x onerror=alert(1)>", "@everyone", "#1", "GH-1", "![x](https://x.example/y.png)",
		"**bold**", "a\nb", "a\r\n\r\n# heading", "\u2028x", "\xff\xfe", "\\`", "</details>", "&lt;script&gt;", "https://x.example/", "- [ ] task", "\u202egpj.exe",
		strings.Repeat("`", 300),
	}
}

// checkCode reads a code span as CommonMark does: a row of backquotes, up to the next row of
// as many.
func checkCode(t *testing.T, name string) {
	t.Helper()
	span := code(name)
	body := strings.TrimLeft(span, "`")
	fence := span[:len(span)-len(body)]
	inner, ok := strings.CutSuffix(body, fence)
	if !ok || fence == "" || strings.ContainsAny(span, "\n\r\u2028\u2029") || strings.HasSuffix(inner, "`") || inner == "" {
		t.Fatalf("%q is no code span: %q", name, span)
	}
	for row := range strings.FieldsFuncSeq(inner, func(r rune) bool { return r != '`' }) {
		if row == fence {
			t.Errorf("the code span of %q ends before its end: %q", name, span)
		}
	}
}

func TestCode(t *testing.T) {
	for _, name := range hostile() {
		checkCode(t, name)
	}
	for name, want := range map[string]string{"hello": "`hello`", "a`b": "`` a`b ``", "a``b": "``` a``b ```", " x": "`  x `", "a\nb": "`a\ufffdb`"} {
		if got := code(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzCode(f *testing.F) {
	for _, name := range hostile() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) { checkCode(t, name) })
}

func TestText(t *testing.T) {
	for sentence, want := range map[string]string{
		"sha256:01 by alice, bob": "sha256:01 by alice, bob",
		"<b>*x* `y` [z](w) ~a~|":  `\<b\>\*x\* \` + "`y\\`" + ` \[z\](w) \~a\~\|`,
		"@bob #1":                 `\@<!-- -->bob \#<!-- -->1`,
	} {
		if got := text(sentence); got != want {
			t.Errorf("%q: %q, want %q", sentence, got, want)
		}
	}
}

// TestMarkdownIsBounded: a comment that nobody can post is none.
func TestMarkdownIsBounded(t *testing.T) {
	r := &compareResult{Counts: compare.Counts{Compared: compare.Compared{Outputs: 5000, Regressed: 5000}}}
	for n := range 5000 {
		o := &judgedOutput{Output: verify.Output{Ecosystem: "nix", Key: fmt.Sprintf("/nix/store/%032d-x", n)}, State: compare.Diverged, Decision: policy.Decision{Reasons: []string{strings.Repeat("<", 300)}}}
		r.Changes = append(r.Changes, comparedEntry{Class: compare.Regressed, Name: strings.Repeat("`x", 256), Head: o, Base: o})
	}
	comment := r.markdown()
	if len(comment) > 65_536 || !strings.Contains(comment, "more\n") || strings.Count(comment, "HEAD: `/nix") < 10 {
		t.Errorf("%d bytes: …%.200s", len(comment), comment[max(0, len(comment)-1000):])
	}
}
