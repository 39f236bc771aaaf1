package policy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func digest(n byte) attestation.Digest { return attestation.Digest{n, 1} }

// evidence reads claims as "operator=digest operator=digest@days".
func evidence(claims string) *verify.Evidence {
	e := &verify.Evidence{Ecosystem: "nix", Output: "/nix/store/x"}
	for i, text := range strings.Fields(claims) {
		operator, rest, _ := strings.Cut(text, "=")
		claim := verify.Claim{Index: uint64(i), Operator: operator, Standing: verify.Counts, ReceivedAt: now.Add(-time.Hour), Digest: digest(rest[0] - 48)}
		switch rest[1:] {
		case "@100":
			claim.ReceivedAt = now.Add(-100 * 24 * time.Hour)
		case "!":
			claim.Standing = verify.Withdrawn
		}
		e.Claims = append(e.Claims, claim)
	}
	return e
}

func TestJudge(t *testing.T) {
	given := digest(1)
	for _, test := range []struct {
		name    string
		section string
		claims  string
		action  policy.Action
		finding verify.Finding
		reason  string
	}{
		{"two agree", "quorum: 2", "a=1 b=1", policy.Accept, verify.Accepted, "2 agree: a, b"},
		{"nobody", "{quorum: 1, single: accept}", "", policy.Refuse, verify.Insufficient, "no trusted operator has said anything"},
		{"one of two", "quorum: 2", "a=1", policy.Refuse, verify.Insufficient, "1 of the 2"},
		{"one of two, accepted", "{quorum: 2, single: accept}", "a=1", policy.Accept, verify.Insufficient, "1 of the 2"},
		{"two of three, warned", "{quorum: 3, single: warn}", "a=1 b=1", policy.Warn, verify.Insufficient, "2 of the 3"},
		{"one operator twice", "quorum: 2", "a=1 a=1", policy.Refuse, verify.Insufficient, "1 of the 2"},
		{"withdrawn", "quorum: 2", "a=1 b=1 c=2!", policy.Accept, verify.Accepted, "a, b"},
		{"only withdrawn", "quorum: 1", "c=1!", policy.Refuse, verify.Insufficient, ""},
		{"dissent", "quorum: 2", "a=1 b=1 c=2", policy.Refuse, verify.Diverged, "0201000000000000000000000000000000000000000000000000000000000000 by c"},
		{"self", "{quorum: 1, single: accept}", "a=1 a=2", policy.Refuse, verify.Diverged, "by a"},
		{"another digest here", "quorum: 2", "a=2 b=2", policy.Refuse, verify.Mismatch, "for a, b"},
		{"another digest here, single accepted", "{quorum: 2, single: accept}", "a=2", policy.Refuse, verify.Mismatch, "for a"},
		{"another digest here, too few", "quorum: 2", "a=2", policy.Refuse, verify.Insufficient, "for a"},

		{"trusted agree", "{quorum: 2, trusted: [a, b]}", "a=1 b=1 c=1", policy.Accept, verify.Accepted, "2 agree: a, b"},
		{"others do not count", "{quorum: 2, trusted: [a, b]}", "a=1 c=1 d=1", policy.Refuse, verify.Insufficient, "1 of the 2"},
		{"others dissent", "{quorum: 2, trusted: [a, b]}", "a=1 b=1 c=2", policy.Refuse, verify.Diverged, "c, not trusted"},
		{"others dissent, accepted", "{quorum: 2, trusted: [a, b], diverged: accept}", "a=1 b=1 c=2", policy.Accept, verify.Diverged, "c, not trusted"},
		{"others dissent, warned", "{quorum: 2, trusted: [a, b], diverged: warn}", "a=1 b=1 c=2", policy.Warn, verify.Diverged, "c, not trusted"},
		{"others dissent, too few", "{quorum: 2, trusted: [a, b], diverged: accept}", "a=1 c=2", policy.Refuse, verify.Insufficient, "1 of the 2"},
		{"others dissent, single and diverged accepted", "{quorum: 2, trusted: [a, b], diverged: warn, single: accept}", "a=1 c=2", policy.Warn, verify.Diverged, ""},
		{"the trusted dissent, diverged accepted", "{quorum: 2, trusted: [a, b, c], diverged: accept}", "a=1 b=1 c=2", policy.Refuse, verify.Diverged, "by c"},
		{"only others", "{quorum: 1, trusted: [a]}", "b=1 c=1", policy.Refuse, verify.Insufficient, "no trusted operator"},

		{"excluded dissent", "{quorum: 2, excluded: [c]}", "a=1 b=1 c=2", policy.Accept, verify.Accepted, "a, b"},
		{"excluded do not count", "{quorum: 2, excluded: [b]}", "a=1 b=1", policy.Refuse, verify.Insufficient, ""},
		{"excluded dissent beside trusted", "{quorum: 1, trusted: [a], excluded: [c]}", "a=1 c=2", policy.Accept, verify.Accepted, ""},

		{"required agrees", "{quorum: 2, required: [b]}", "a=1 b=1", policy.Accept, verify.Accepted, ""},
		{"required is silent", "{quorum: 2, required: [c]}", "a=1 b=1", policy.Refuse, verify.Insufficient, "c is required"},
		{"required is silent, single accepted", "{quorum: 2, required: [c], single: accept}", "a=1", policy.Refuse, verify.Insufficient, "c is required"},

		{"old", "{quorum: 2, maxAge: 90d}", "a=1@100 b=1@100", policy.Refuse, verify.Insufficient, "is 100d old, more than 90d"},
		{"one is new", "{quorum: 2, maxAge: 90d}", "a=1@100 b=1", policy.Accept, verify.Accepted, ""},
		{"the new one is not trusted", "{quorum: 1, trusted: [a], maxAge: 90d}", "a=1@100 b=1", policy.Refuse, verify.Insufficient, ""},
		{"no age", "quorum: 2", "a=1@100 b=1@100", policy.Accept, verify.Accepted, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := policy.Parse([]byte("sections: [" + test.section + "]"))
			if strings.HasPrefix(test.section, "quorum") {
				p, err = policy.Parse([]byte("sections: [{" + test.section + "}]"))
			}
			if err != nil {
				t.Fatal(err)
			}
			d := p.Judge(policy.Case{Evidence: evidence(test.claims), Digest: &given, Now: now})
			if d.Action != test.action || d.Finding != test.finding || !strings.Contains(strings.Join(d.Reasons, "\n"), test.reason) {
				t.Errorf("%s; want %s (%s): …%s…", &d, test.action, test.finding, test.reason)
			}
		})
	}
}

// TestRegressed: what was reproduced before is looked for where a section asks, and makes a
// decision stricter, never laxer.
func TestRegressed(t *testing.T) {
	const strangers = "quorum: 2, trusted: [a, b], "
	itself, earlier := "it was reproduced until ledger index", "/nix/store/x, in whose place it came, is reproduced"
	for _, test := range []struct {
		name, section, claims string
		before                []string
		action                policy.Action
		reason                string // "": not said to have regressed
	}{
		{"not asked", strangers + "diverged: warn", "a=1 b=1 c=2", []string{"a=3 b=3"}, policy.Warn, ""},
		{"asked to accept it", strangers + "diverged: warn, regressed: accept", "a=1 b=1 c=2", []string{"a=3 b=3"}, policy.Warn, ""},
		{"itself", strangers + "diverged: warn, regressed: refuse", "a=1 b=1 c=2", nil, policy.Refuse, itself},
		{"itself, which warns", strangers + "diverged: accept, regressed: warn", "a=1 b=1 c=2", nil, policy.Warn, itself},
		{"the dissent came first", strangers + "diverged: warn, regressed: refuse", "a=1 c=2 b=1", nil, policy.Warn, ""},
		{"an earlier version", strangers + "diverged: warn, regressed: refuse", "a=1 c=2 b=1", []string{"a=4", "a=3 b=3"}, policy.Refuse, earlier},
		{"an earlier version, long ago", strangers + "diverged: warn, maxAge: 90d, regressed: refuse", "a=1 c=2 b=1", []string{"a=3@100 b=3@100"}, policy.Refuse, earlier},
		{"earlier versions that were not", strangers + "diverged: warn, regressed: refuse", "a=1 c=2 b=1", []string{"a=3", "a=3 b=4", "a=3 b=3 c=4", ""}, policy.Warn, ""},
		{"an earlier version by strangers", strangers + "diverged: warn, regressed: refuse", "a=1 c=2 b=1", []string{"c=3 d=3"}, policy.Warn, ""},
		{"without who is required", strangers + "required: [b], diverged: warn, regressed: refuse", "a=1 c=2 b=1", []string{"a=3 c=3"}, policy.Warn, ""},
		{"the trusted dissent", "quorum: 2, regressed: warn", "a=1 b=1 c=2", nil, policy.Refuse, itself},
		{"a withdrawn claim was never made", strangers + "diverged: warn, regressed: refuse", "a=1 b=1! c=2 b=1", nil, policy.Warn, ""},
		{"who is excluded is not heard", "quorum: 2, excluded: [c], regressed: warn", "c=2 a=1 b=1 d=2", nil, policy.Refuse, itself},
		{"not diverged", strangers + "regressed: refuse", "a=1 b=1", []string{"a=3 b=3"}, policy.Accept, ""},
		{"too few", strangers + "regressed: refuse, single: warn", "a=1", []string{"a=3 b=3"}, policy.Warn, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := policy.Parse([]byte("sections: [{" + test.section + "}]"))
			if err != nil {
				t.Fatal(err)
			}
			c := policy.Case{Evidence: evidence(test.claims), Now: now}
			for _, claims := range test.before {
				c.Before = append(c.Before, evidence(claims))
			}
			d := p.Judge(c)
			reasons := strings.Join(d.Reasons, "\n")
			if d.Action != test.action || (test.reason != "") != strings.Contains(reasons, "regressed: ") || !strings.Contains(reasons, test.reason) {
				t.Errorf("%s; want %s: %q", &d, test.action, test.reason)
			}
			if (d.Regressed != nil) != (test.reason != "") || d.Regressed != nil && (d.Regressed.Until > 0) != (test.reason == itself) {
				t.Errorf("regressed: %+v", d.Regressed)
			}
			c.Before = nil
			if d := p.Judge(c); p.AsksBefore(&d) != (d.Finding == verify.Diverged && strings.Contains(test.section, "regressed: ") && !strings.Contains(test.section, "regressed: accept") && test.reason != itself) {
				t.Errorf("asks for earlier versions: %t", p.AsksBefore(&d))
			}
		})
	}
}

func TestFirstSection(t *testing.T) {
	p, err := policy.Parse([]byte(`sections:
- {name: nix base, ecosystem: nix, set: base, quorum: 3}
- {name: debian base, ecosystem: debian, set: base, quorum: 4}
- {name: iso, set: iso, quorum: 5}
- {ecosystem: nix, quorum: 6}
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"base", "iso"}, p.Sets()); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		ecosystem string
		sets      []string
		want      string
	}{
		{"nix", []string{"base", "iso"}, "nix base"},
		{"nix", []string{"iso"}, "iso"},
		{"nix", nil, "section 4"},
		{"debian", []string{"iso", "base"}, "debian base"},
		{"debian", nil, ""},
	} {
		e := evidence("a=1")
		e.Ecosystem = test.ecosystem
		if d := p.Judge(policy.Case{Evidence: e, Sets: test.sets, Now: now}); d.Section != test.want || d.Action != policy.Refuse {
			t.Errorf("%s in %q: section %q, want %q", test.ecosystem, test.sets, d.Section, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                      "empty",
		"sections: []":                                          "no sections",
		"sections: [{}]":                                        "quorum is missing",
		"sections: [{quorum: -1}]":                              "1 or more",
		"sections: [{quorum: 1.5}]":                             "1 or more",
		"sections: [{quorum: 1, a: 1}]":                         "field a not found",
		"quorum: 1":                                             "field quorum not found",
		"sections: [{quorum: 1, quorum: 2}]":                    "already defined",
		"sections: [{quorum: 1, single: maybe}]":                "none of accept, warn and refuse",
		"sections: [{quorum: 1, regressed: no}]":                "none of accept, warn and refuse",
		"sections: [{quorum: 1, maxAge: 90}]":                   "no age",
		"sections: [{quorum: 1, maxAge: 0d}]":                   "no age",
		"sections: [{quorum: 1, maxAge: ''}]":                   "no age",
		"sections: [{quorum: 3, trusted: [a, b]}]":              "can never be reached",
		"sections: [{quorum: 1, trusted: []}]":                  "can never be reached",
		"sections: [{quorum: 1, trusted: [a, a]}]":              "listed twice",
		"sections: [{quorum: 1, trusted: [A]}]":                 "trusted: operator",
		"sections: [{quorum: 1, trusted: [a], excluded: [a]}]":  "trusted and excluded",
		"sections: [{quorum: 1, trusted: [a], required: [b]}]":  "required, but not trusted",
		"sections: [{quorum: 1, required: [b], excluded: [b]}]": "required, but not trusted",
		"sections: [{quorum: 1, diverged: accept}]":             "always refused",
		"sections: [{quorum: 1, ecosystem: Nix}]":               "",
		"sections: [{quorum: 1, set: '../x'}]":                  "package set",
		"sections: [{quorum: 1}, {quorum: 2, ecosystem: nix}]":  "never be used",
		"sections: [{quorum: 1}]\n---\nsections: [{quorum: 1}]": "more than one",
		"sections: [{quorum: 1, name: \"a\\nb\"}]":              "control",
		"sections: [{quorum: 1, excluded: a}]":                  "",
	} {
		if _, err := policy.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, append([]byte("sections: [{quorum: 1}]\n"), bytes.Repeat([]byte("#"), 1<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Load(path); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a huge file: %v", err)
	}
}

// TestManual reads the examples of the manual.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(manual), "```yaml\n")[1:]
	if len(examples) < 2 {
		t.Errorf("the manual has %d examples", len(examples))
	}
	for _, example := range examples {
		text, _, _ := strings.Cut(example, "```")
		if _, err := policy.Parse([]byte(text)); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
	}
}
