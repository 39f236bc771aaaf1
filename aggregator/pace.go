package aggregator

import "time"

// A batch of the index costs about as much for one entry as for hundreds. So the index rests
// after each, indexRest times as long as that took but no longer than indexMaxRest, unless
// indexFull entries wait. What it did not rest because nothing came is its credit, up to
// indexCredit: after silence, some thirty batches are indexed at once.
const (
	indexRest    = 20
	indexMaxRest = 2 * time.Second
	indexCredit  = time.Minute
	indexFull    = 200
)

// A pace says when the next batch of the index may begin. The zero pace has all credit.
type pace struct {
	until time.Time // it rests; what of that is past is credit
}

// worked counts a batch that took so long.
func (p *pace) worked(took time.Duration) {
	if credit := time.Now().Add(-indexCredit); p.until.Before(credit) {
		p.until = credit
	}
	p.until = p.until.Add(min(indexRest*took, indexMaxRest))
}

// rests reports whether so many entries can wait for more.
func (p *pace) rests(waiting uint64) bool { return time.Now().Before(p.until) && waiting < indexFull }
