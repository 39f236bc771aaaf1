package evidence

import "testing"

func TestOnlyProvenStatesCount(t *testing.T) {
	var zero State
	for s, want := range map[State]bool{zero: false, Bad: false, UnknownKey: false, Revoked: false, OutsideValidity: false, ExpiredSince: true, Valid: true} {
		if s.Counts() != want {
			t.Errorf("%s counts: %t", s, !want)
		}
	}
}
