package dashboardtest_test

import (
	"testing"

	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
)

func TestFake(t *testing.T) {
	dashboardtest.Contract(t, func(_ *testing.T, s *dashboardtest.Scenario) dashboard.Source { return dashboardtest.NewFake(s) })
}
