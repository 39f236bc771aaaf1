package dashboard

import (
	"fmt"
	"strings"
)

// issueText is what somebody would write into a package's tracker, in the parts of Nixpkgs'
// template for packages that are not reproducible (.github/ISSUE_TEMPLATE of NixOS/nixpkgs):
// what is wrong, how to see it, and what is known. It is "" where nothing diverges. Names are
// strangers' words: they are code, and act as nothing.
func issueText(p *Package, base string) string {
	if len(p.Divergences) == 0 {
		return ""
	}
	first := p.Divergences[0]
	var b strings.Builder
	fmt.Fprintf(&b, "Unreproducible package: %s\n\n", codeSpan(p.Name))
	fmt.Fprintf(&b, "Independent operators built %s and did not get bit-by-bit identical results.\n%s\n", codeSpan(first.Key), codeSpan(p.Explanation))
	b.WriteString("\n### Steps to reproduce\n\n")
	build := &Build{Name: first.Build, Ecosystem: first.Ecosystem, Outputs: []Output{{OutputRow: first.OutputRow}}}
	commands := rebuildCommands(build)
	if len(commands) == 0 {
		fmt.Fprintf(&b, "Build %s twice, and compare.\n", codeSpan(first.Key))
	}
	for _, command := range commands[:min(len(commands), 1)] {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(command.Text, "\n", "\n    "))
	}
	b.WriteString("\n### Additional context\n\n")
	for _, plan := range p.Sets[:min(len(p.Sets), 3)] {
		if plan.Attribute != "" {
			fmt.Fprintf(&b, "- In the package set %s it is %s.\n", codeSpan(plan.Set), codeSpan(plan.Attribute))
		}
	}
	fmt.Fprintf(&b, "- Since %s: %s.\n", stamp(first.Since), codeSpan(dissent(first)))
	for _, f := range first.Factions[:min(len(first.Factions), namedOperators)] {
		fmt.Fprintf(&b, "- %s: %s\n", codeSpan(f.Digest), codeSpan(strings.Join(f.Operators[:min(len(f.Operators), namedOperators)], ", ")))
	}
	fmt.Fprintf(&b, "- Who got what, with evidence: %s\n", base+outputURL(first.OutputRow))
	return b.String()
}

// codeSpan is a text as code in Markdown (CommonMark, 6.1).
func codeSpan(text string) string {
	const most = 300
	return "`" + strings.ReplaceAll(Plain(text, most), "`", "’") + "`"
}
