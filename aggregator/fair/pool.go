package fair

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Config says how a [Pool] is divided.
type Config struct {
	// Capacity is all there is.
	Capacity int64
	// Share is how much of it one party may hold; 0: all of it. The party "" may always
	// hold all of it.
	Share int64
	// Spare is the part of the capacity that only those can take whose whole amount is no
	// larger than Small: who asks for little is served while a few hold much.
	Spare, Small int64
	// Waiting is how many may wait, and WaitingShare how many of one party; 0: any number.
	Waiting, WaitingShare int
}

// A Pool is an amount of something that parties take parts of and give back.
type Pool struct {
	config Config

	mu      sync.Mutex // guards what follows
	used    int64
	now     float64 // what the party has had that was served last
	arrived uint64  // how many have waited so far
	parties map[string]*party
}

// A party is what is known of one party while it holds or waits for something.
type party struct {
	held  int64
	had   float64 // cost of what it was served, and waits for
	queue []*waiter
}

// A waiter waits for n until ready is closed.
type waiter struct {
	n       int64
	had     float64 // what its party has had before it
	arrival uint64
	ready   chan struct{}
}

// NewPool returns a pool of which nothing is taken.
func NewPool(config Config) *Pool {
	if config.Share == 0 {
		config.Share = config.Capacity
	}
	return &Pool{config: config, parties: map[string]*party{}}
}

// What a pool has no more of.
var (
	// ErrNever says that a pool can never give as much.
	ErrNever = errors.New("more than there is")
	// ErrFull says that there is not as much now, and ErrShare that the party has its share.
	ErrFull  = errors.New("all is taken")
	ErrShare = errors.New("the party has taken its share")
)

// Try takes n more for a call that holds some already, and reports whether there was as
// much.
func (p *Pool) Try(who string, held, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.party(who)
	ok := p.fits(held+n, n) && p.inShare(who, of, n)
	if ok {
		p.take(of, n)
	}
	p.forget(who, of)
	return ok
}

// Acquire waits until there is n for a party, which holds it until [Pool.Release]. The cost
// is what the party is served by that, in any unit: of those who wait, the party comes next
// that was served least. It returns [ErrNever], [ErrFull] or [ErrShare] where too many wait,
// or why the context ended.
func (p *Pool) Acquire(ctx context.Context, who string, n int64, cost float64) error {
	if n > p.most(n) || who != "" && n > p.config.Share {
		return ErrNever
	}
	p.mu.Lock()
	of := p.party(who)
	if err := p.mayWait(who, of, n); err != nil {
		p.forget(who, of)
		p.mu.Unlock()
		return err
	}
	p.arrived++
	w := &waiter{n: n, had: max(p.now, of.had), arrival: p.arrived, ready: make(chan struct{})}
	charged := w.had + cost - of.had
	of.had += charged
	of.queue = append(of.queue, w)
	p.serve()
	p.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of.had -= charged // it was not served
	if i := slices.Index(of.queue, w); i >= 0 {
		of.queue = slices.Delete(of.queue, i, i+1)
	} else {
		p.give(of, n) // it was served meanwhile
	}
	p.forget(who, of)
	p.serve()
	return context.Cause(ctx)
}

// mayWait says why a party may not wait for n more; nil if it may, or need not.
func (p *Pool) mayWait(who string, of *party, n int64) error {
	each, all := p.config.WaitingShare, p.config.Waiting
	if p.fits(n, n) && p.inShare(who, of, n) {
		return nil
	}
	if each > 0 && len(of.queue) >= each || all > 0 && p.waiting() >= all {
		return p.lacks(who, of, n)
	}
	return nil
}

// Lacks says why there are not n for a party now: [ErrShare] or [ErrFull].
func (p *Pool) Lacks(who string, n int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.party(who)
	defer p.forget(who, of)
	return p.lacks(who, of, n)
}

func (p *Pool) lacks(who string, of *party, n int64) error {
	if !p.inShare(who, of, n) {
		return ErrShare
	}
	return ErrFull
}

// Release gives back n that a party holds.
func (p *Pool) Release(who string, n int64) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.party(who)
	p.give(of, n)
	p.forget(who, of)
	p.serve()
}

// Used returns how much is taken.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Waiting returns how many wait.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting()
}

func (p *Pool) waiting() (n int) {
	for _, of := range p.parties {
		n += len(of.queue)
	}
	return n
}

// most is how much of the capacity a call can have that asks for so much in all.
func (p *Pool) most(whole int64) int64 {
	if whole <= p.config.Small {
		return p.config.Capacity
	}
	return p.config.Capacity - p.config.Spare
}

func (p *Pool) fits(whole, n int64) bool { return p.used+n <= p.most(whole) }

func (p *Pool) inShare(who string, of *party, n int64) bool {
	return who == "" || of.held+n <= p.config.Share
}

func (p *Pool) take(of *party, n int64) { p.used, of.held = p.used+n, of.held+n }

func (p *Pool) give(of *party, n int64) { p.used, of.held = p.used-n, of.held-n }

func (p *Pool) party(who string) *party {
	of, known := p.parties[who]
	if !known {
		of = &party{}
		p.parties[who] = of
	}
	return of
}

// forget lets go of a party that neither holds nor waits for anything.
func (p *Pool) forget(who string, of *party) {
	if of.held == 0 && len(of.queue) == 0 {
		delete(p.parties, who)
	}
}

// serve gives to those who wait as long as there is enough for the next one.
func (p *Pool) serve() {
	for of := p.next(); of != nil; of = p.next() {
		w := of.queue[0]
		of.queue = of.queue[1:]
		p.now = max(p.now, w.had)
		p.take(of, w.n)
		close(w.ready)
	}
}

// next returns the party whose turn it is; nil if there is not enough for it. Where it asks
// for more than there is now, only those that ask for little go before it.
func (p *Pool) next() *party {
	of := p.first(func(*waiter) bool { return true })
	if of == nil || p.fits(of.queue[0].n, of.queue[0].n) {
		return of
	}
	return p.first(func(w *waiter) bool { return w.n <= p.config.Small && p.fits(w.n, w.n) })
}

// first returns the party that was served least, of those whose next waiter is within the
// party's share and fits.
func (p *Pool) first(fits func(*waiter) bool) (first *party) {
	for who, of := range p.parties {
		if len(of.queue) == 0 || !p.inShare(who, of, of.queue[0].n) || !fits(of.queue[0]) {
			continue
		}
		if first == nil || before(of.queue[0], first.queue[0]) {
			first = of
		}
	}
	return first
}

func before(a, b *waiter) bool {
	if a.had != b.had {
		return a.had < b.had
	}
	return a.arrival < b.arrival
}
