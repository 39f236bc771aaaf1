package query_test

import (
	"fmt"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
)

// TestTotalOfBuild: a build with more outputs than are listed says how many it has.
func TestTotalOfBuild(t *testing.T) {
	const outputs = 1500
	s := newScript(t)
	s.enrol("ada", enrolment.Counted)
	statement := dashboardtest.Rebuild(nil, dashboardtest.DRV("many"), "", dashboardtest.Out("many", ""), "1")
	for i := 1; i < outputs; i++ {
		statement.Subjects = append(statement.Subjects, attestation.Subject{
			Name: dashboardtest.Out(fmt.Sprintf("many-%d", i), ""), Digest: dashboardtest.Digest(fmt.Sprint(i)),
		})
		statement.Builds[0].Outputs = append(statement.Builds[0].Outputs, i)
	}
	s.say("ada", statement)
	b, err := s.open().Build(t.Context(), dashboardtest.DRV("many"))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Outputs) != 1000 || b.Total != outputs {
		t.Errorf("%d outputs are listed of %d, want 1000 of %d", len(b.Outputs), b.Total, outputs)
	}
}

// TestEarlierClaims: an output with more claims than are listed says so.
func TestEarlierClaims(t *testing.T) {
	const claims = 2000
	s := newScript(t)
	s.enrol("ada", enrolment.Counted)
	for i := range claims + 1 {
		s.say("ada", dashboardtest.Rebuild(nil, dashboardtest.DRV("often"), "", dashboardtest.Out("often", ""), fmt.Sprint(i)))
		if i != claims-1 && i != claims {
			continue
		}
		o, err := s.open().Output(t.Context(), dashboardtest.Out("often", ""))
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Claims) != claims || o.Earlier != (i == claims) {
			t.Errorf("of %d claims %d are listed, and that there are earlier ones is %t", i+1, len(o.Claims), o.Earlier)
		}
	}
}
