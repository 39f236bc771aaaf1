package writer

import (
	"fmt"
	"time"
)

// How far the machine's clock may be from the last entry's time of receipt. A ledger
// cannot take a time back: after one entry of the year 2036 all are of that year. A
// running aggregator writes at least an entry in 24 map intervals, so none is silent
// for a month, unless it was switched off.
const (
	maxBehind = 24 * time.Hour
	maxAhead  = 30 * 24 * time.Hour
)

// A ClockError says that the machine's clock is far from the log's last entry, so
// that one of them is wrong.
type ClockError struct {
	Now, Last time.Time
}

func (e *ClockError) Error() string {
	const layout = time.RFC3339
	side, distance := "ahead of", e.Now.Sub(e.Last)
	if distance < 0 {
		side, distance = "behind", -distance
	}
	return fmt.Sprintf("this machine's clock says %s, %d days %s the ledger's last entry (%s): set the clock right; if it is right, start once with --clock-is-right",
		e.Now.UTC().Format(layout), int(distance.Hours()/24), side, e.Last.UTC().Format(layout))
}

// checkClock compares the clock with the last entry; the zero time is none.
func checkClock(last, now time.Time) error {
	if !last.IsZero() && last.Sub(now) > maxBehind {
		return &ClockError{now, last}
	}
	return checkAhead(last, now)
}

// checkAhead refuses a clock that was set far ahead. One that was set back needs no
// refusal in a running log: times of receipt stay where they are.
func checkAhead(last, now time.Time) error {
	if !last.IsZero() && now.Sub(last) > maxAhead {
		return &ClockError{now, last}
	}
	return nil
}
