package dashboard_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/internal/browsertest"
)

// TestMatrixStays: who got what is on the page with nine builders too, in every window.
func TestMatrixStays(t *testing.T) {
	const builders = 9
	s := &dashboardtest.Scenario{}
	for i := range builders {
		label := fmt.Sprintf("builder-%d", i)
		s.Builders = append(s.Builders, dashboardtest.Builder{Label: label, Operator: label, Tier: enrolment.Counted})
		s.Entries = append(s.Entries, dashboardtest.Entry{
			At: time.Now().Add(-time.Hour), Builder: label,
			Statement: dashboardtest.Rebuild(nil, dashboardtest.DRV("x"), "", dashboardtest.Out("x", ""), fmt.Sprint(i%3)),
		})
	}
	browser := browsertest.Start(t)
	server := httptest.NewServer(serve(t, dashboardtest.NewFake(s)))
	t.Cleanup(server.Close)
	for _, v := range browsertest.Variants() {
		t.Run(v.Name, func(t *testing.T) {
			if v.NoJS {
				t.Skip("counting needs JavaScript; the page is that of the window of the same width")
			}
			tab := browser.Open(t, v)
			tab.Read(t, server.URL+"/builds"+dashboardtest.DRV("x"), "#answer")
			visible := browsertest.Evaluate[int](t, tab, `[...document.querySelectorAll(".matrix td .mark")].filter(e => e.checkVisibility()).length`)
			if visible != builders {
				t.Errorf("%d of %d marks are visible", visible, builders)
			}
			if width := tab.Width(t); width > v.Width {
				t.Errorf("the page is %d pixels wide in a window of %d", width, v.Width)
			}
		})
	}
}
