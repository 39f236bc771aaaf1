package suggest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/suggest"
	"repronet.dev/api"
)

func builds(suggestions []api.Suggestion) (names []string) {
	for _, s := range suggestions {
		names = append(names, s.Build)
	}
	return names
}

func TestDeal(t *testing.T) {
	t.Parallel()
	var best []api.Suggestion
	for i := range 100 {
		reason := api.Confirm
		if i >= 40 {
			reason = api.Begin
		}
		best = append(best, api.Suggestion{Build: fmt.Sprint(i), Reason: reason})
	}
	if diff := cmp.Diff([]string{"0", "1", "2"}, builds(suggest.Deal(best, "", 3))); diff != "" {
		t.Errorf("for nobody in particular (-want +got):\n%s", diff)
	}
	if got := suggest.Deal(best, "ash", 200); len(got) != 100 || got[39].Reason != api.Confirm || got[40].Reason != api.Begin {
		t.Errorf("what is to be confirmed does not come first: %v", builds(got))
	}
	ash := builds(suggest.Deal(best, "ash", 5))
	if diff := cmp.Diff(ash, builds(suggest.Deal(best, "ash", 5))); diff != "" {
		t.Errorf("asked again (-first +second):\n%s", diff)
	}
	// Ten builders who are told five of forty each: as good as by chance, 29 are told of.
	told := map[string]bool{}
	for i := range 10 {
		for _, name := range builds(suggest.Deal(best, fmt.Sprint("builder ", i), 5)) {
			told[name] = true
		}
	}
	if len(told) < 20 {
		t.Errorf("ten builders are told of %d builds: %v", len(told), told)
	}
	if got := suggest.Deal(nil, "ash", 5); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
