package dashboard_test

import (
	"strings"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
)

// attack is what every text of the hostile scenario contains.
const attack = `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`" + `;javascript:alert(3)</title></textarea>`

// hostileScenario has attack, and names of great length, wherever a stranger
// decides what is written, as if nothing before the pages had refused it.
func hostileScenario(now time.Time) *dashboardtest.Scenario {
	long := strings.Repeat("a-very-long-name-", 30)
	s := &dashboardtest.Scenario{Builders: []dashboardtest.Builder{
		{Label: "mallory", Operator: "mallory" + attack, Tier: enrolment.Counted},
		{Label: "trudy", Operator: "trudy" + long, Tier: enrolment.Counted},
		{Label: "open", Operator: "open" + attack, Tier: "open" + attack},
	}}
	environment := map[string]string{"kernel" + attack: "6" + attack, "cpu" + long: long}
	for i, name := range []string{"/nix/store/" + attack, "javascript:alert(4)", long, "-rf", "a\nb", "//evil.example/x"} {
		for _, b := range []string{"mallory", "trudy", "open"} {
			statement := dashboardtest.Rebuild(environment, name, "", name+"^out"+attack, name+b, name+"^same", name)
			statement.Ecosystem = []string{"nix", "go", "generic"}[i%3]
			statement.Builds[0].Occasion = attestation.Occasion(attack)
			s.Entries = append(s.Entries, dashboardtest.Entry{At: now.Add(-time.Hour), Builder: b, Statement: statement})
		}
		s.Entries = append(s.Entries, dashboardtest.Entry{At: now.Add(-time.Minute), Builder: "mallory", Statement: dashboardtest.Failed(name, attack+long)})
	}
	s.Entries = append(s.Entries, dashboardtest.Entry{At: now, Set: &dashboardtest.Set{
		Name: "set" + attack + long, Revision: attack + long,
		Members: []dashboardtest.Member{{
			Key: long + "^same", Attribute: attack, Version: attack, System: attack, Maintainers: []string{attack, long}, Inputs: []string{"/nix/store/" + attack + "^same"},
		}},
	}})
	return s
}

// unbuiltScenario has a package set of which nothing is built.
func unbuiltScenario(now time.Time) *dashboardtest.Scenario {
	return &dashboardtest.Scenario{
		Builders: []dashboardtest.Builder{{Label: "a", Operator: "a", Tier: enrolment.Counted}},
		Entries: []dashboardtest.Entry{{At: now.Add(-time.Hour), Set: &dashboardtest.Set{
			Name: "release", Revision: "1", Ecosystem: "nix", Members: []dashboardtest.Member{{Key: dashboardtest.Out("hello-1", ""), Attribute: "hello"}},
		}}},
	}
}
