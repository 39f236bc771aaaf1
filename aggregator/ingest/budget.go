package ingest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"repronet.dev/api"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

// A Budget is how many bytes of ledger and attachments are written in a day, by those who
// write them: what is appended stays for ever. What was not written in a day is not saved up
// beyond that. In place of 0 stands [DefaultBudget]'s.
type Budget struct {
	// Total is of all submissions together.
	Total Bytes `yaml:"total"`
	// Builder and Operator are of one of tier counted, for which a person vouched.
	Builder  Bytes `yaml:"builder"`
	Operator Bytes `yaml:"operator"`
	// OpenBuilder and OpenOperator are of one of tier open, which anybody with an
	// identity may join, and Open of all of that tier together.
	OpenBuilder  Bytes `yaml:"open_builder"`
	OpenOperator Bytes `yaml:"open_operator"`
	Open         Bytes `yaml:"open"`
	// Network and Uncounted are of third parties' documents by keys that are not enrolled,
	// which anybody hands in: of those from one network, and of all together.
	Network   Bytes `yaml:"network"`
	Uncounted Bytes `yaml:"uncounted"`
}

// Bytes is a number of bytes, which is written as 1048576, 1024KiB or 1MiB.
type Bytes int64

// units of [Bytes], largest first.
var units = []struct {
	name  string
	bytes Bytes
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String is the number in the largest unit that leaves no fraction.
func (b Bytes) String() string {
	for _, unit := range units {
		if b != 0 && b%unit.bytes == 0 {
			return strconv.FormatInt(int64(b/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText implements [encoding.TextMarshaler].
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, unit := string(text), Bytes(1)
	for _, u := range units {
		if number, found := strings.CutSuffix(digits, u.name); found {
			digits, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 || Bytes(n) > math.MaxInt64/unit {
		return fmt.Errorf("%q is not a number of bytes such as 1048576, 64MiB or 2GiB", text)
	}
	*b = Bytes(n) * unit
	return nil
}

// DefaultBudget returns what holds where nothing else is said. A hundred thousand outputs
// are some ten megabytes of ledger.
func DefaultBudget() Budget {
	return Budget{
		Total: 16 << 30, Builder: 2 << 30, Operator: 4 << 30,
		OpenBuilder: 32 << 20, OpenOperator: 64 << 20, Open: 512 << 20,
		Network: 16 << 20, Uncounted: 64 << 20,
	}
}

// orDefault puts the defaults in place of zeros.
func (b Budget) orDefault() Budget {
	d := DefaultBudget()
	for _, amount := range [][2]*Bytes{
		{&b.Total, &d.Total},
		{&b.Builder, &d.Builder},
		{&b.Operator, &d.Operator},
		{&b.OpenBuilder, &d.OpenBuilder},
		{&b.OpenOperator, &d.OpenOperator},
		{&b.Open, &d.Open},
		{&b.Network, &d.Network},
		{&b.Uncounted, &d.Uncounted},
	} {
		if *amount[0] == 0 {
			*amount[0] = *amount[1]
		}
	}
	return b
}

// An account is one of those that a submission is charged to.
type account struct {
	what string // "builder", "operator", "network": one of many; else of all together
	name string // which, of many
	day  Bytes  // that it may write
}

func (a account) String() string {
	switch a.what {
	case "builder", "operator":
		return a.what + " " + a.name
	case "network":
		return "your network, of documents by keys that are not enrolled"
	case "uncounted":
		return "all documents by keys that are not enrolled"
	case "open":
		return "all builders of tier open"
	}
	return "all submissions"
}

// of returns the accounts of a builder's submissions.
func (b *Budget) of(builder enrolment.Builder) []account {
	name := string(builder.ID)
	if builder.Tier == enrolment.Counted {
		return []account{{"builder", name, b.Builder}, {"operator", builder.Operator, b.Operator}, {"total", "", b.Total}}
	}
	return []account{{"builder", name, b.OpenBuilder}, {"operator", builder.Operator, b.OpenOperator}, {"open", "", b.Open}, {"total", "", b.Total}}
}

// ofStrangers returns the accounts of documents by keys that are not enrolled, from a network
// ("" of those that are not told apart).
func (b *Budget) ofStrangers(network string) []account {
	accounts := []account{{"uncounted", "", b.Uncounted}, {"total", "", b.Total}}
	if network == "" {
		return accounts
	}
	return append([]account{{"network", network, b.Network}}, accounts...)
}

// accounts returns those that a document is charged to: the first enrolled builder's whose
// signature on it verifies, also where it does not count because of what it is about; else
// those of strangers.
func (in *Ingest) accounts(d *reading.Document, network string) []account {
	for i := range d.Signers {
		if s := &d.Signers[i]; s.State.Counts() {
			if b, ok := in.roster.Builder(s.Builder); ok {
				return in.config.Budget.of(b)
			}
		}
	}
	return in.config.Budget.ofStrangers(network)
}

// accountsOf returns those that a builder's statements are charged to.
func (in *Ingest) accountsOf(id signing.BuilderID) []account {
	b, ok := in.roster.Builder(id)
	if !ok { // it was opened under this roster
		return in.config.Budget.ofStrangers("")
	}
	return in.config.Budget.of(b)
}

// overBudget is why something was not written.
type overBudget struct {
	account account
	size    Bytes
}

func (e *overBudget) Error() string {
	if e.size > e.account.day {
		return fmt.Sprintf("It takes %s bytes of the ledger, and %s may write %s in a day: send less at once.", e.size, e.account, e.account.day)
	}
	return fmt.Sprintf("The ledger took as much of %s as it does in a day (%s): keep this, and send it again in some hours.", e.account, e.account.day)
}

// within writes what takes so many bytes, if all accounts have as much left. What is not
// written in the end is not charged: after an error, all but the bytes that write kept.
func (in *Ingest) within(accounts []account, size int, write func() (index uint64, kept int, err error)) (uint64, error) {
	if short := in.spending.take(accounts, float64(size), time.Now()); short != nil {
		return 0, &overBudget{*short, Bytes(size)}
	}
	kept := 0
	defer func() { // after a panic too
		in.spending.give(accounts, float64(size-kept))
		in.metrics.written.WithLabelValues(labelOf(accounts)).Add(float64(kept))
	}()
	index, kept, err := write()
	if err == nil {
		kept = size
	}
	return index, err
}

func labelOf(accounts []account) string {
	for _, a := range accounts {
		if a.what == "open" || a.what == "uncounted" {
			return a.what
		}
	}
	return "counted"
}

// entrySize is about what an entry takes of the ledger: its bytes, and hashes of them in tiles.
func entrySize(entry ledger.Packed) int { return entry.Size() + 100 }

func (in *Ingest) overBudget(err *overBudget) error {
	return in.problem(api.ProblemOverBudget, err.Error())
}

// maxAccounts bounds what is remembered of networks; builders and operators are bounded by
// the roster.
const maxAccounts = 20_000

// spending is what was written lately, by account.
type spending struct {
	mu       sync.Mutex // guards what follows
	accounts map[accountKey]*spent
}

type accountKey struct{ what, name string }

// spent fills up from nothing to a day's bytes, and empties by a day's bytes in a day.
type spent struct {
	bytes float64
	at    time.Time
	day   float64
}

func (s *spent) until(now time.Time) {
	if s.day == 0 { // restored, and not asked for since
		return
	}
	if passed := now.Sub(s.at); passed > 0 {
		s.bytes = max(0, s.bytes-s.day*passed.Hours()/24)
		s.at = now
	}
}

func newSpending() *spending { return &spending{accounts: map[accountKey]*spent{}} }

// take charges all accounts, or none if one has too little left, which it returns.
func (s *spending) take(accounts []account, size float64, now time.Time) (short *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]*spent, len(accounts))
	for i := range accounts {
		a := &accounts[i]
		found[i] = s.account(a, now)
		if found[i].bytes+size > float64(a.day) {
			return a
		}
	}
	for _, f := range found {
		f.bytes += size
	}
	return nil
}

func (s *spending) account(a *account, now time.Time) *spent {
	key := accountKey{a.what, a.name}
	of := s.accounts[key]
	if of == nil {
		if len(s.accounts) >= maxAccounts {
			s.sweep(now)
		}
		of = &spent{at: now}
		s.accounts[key] = of
	}
	of.day = float64(a.day)
	of.until(now)
	return of
}

// sweep forgets who has written nothing for a day; and if that is not enough, networks: the
// budget of all together still holds.
func (s *spending) sweep(now time.Time) {
	for key, of := range s.accounts {
		if of.until(now); of.bytes == 0 {
			delete(s.accounts, key)
		}
	}
	if len(s.accounts) < maxAccounts {
		return
	}
	for key := range s.accounts {
		if key.what == "network" {
			delete(s.accounts, key)
		}
	}
}

// give takes a charge back.
func (s *spending) give(accounts []account, size float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range accounts {
		if of := s.accounts[accountKey{accounts[i].what, accounts[i].name}]; of != nil {
			of.bytes = max(0, of.bytes-size)
		}
	}
}

// left returns what an account has left.
func (s *spending) left(a account, now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, float64(a.day)-s.account(&a, now).bytes)
}

// register puts what is left of the budgets of all together among the metrics.
func (in *Ingest) register(registry prometheus.Registerer) {
	b := &in.config.Budget
	for _, a := range []account{{"total", "", b.Total}, {"open", "", b.Open}, {"uncounted", "", b.Uncounted}} {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "repronet_ledger_budget_left_bytes", Help: "Bytes of ledger and attachments that may still be written today, by whose budget it is.",
			ConstLabels: prometheus.Labels{"budget": a.what},
		}, func() float64 { return in.spending.left(a, time.Now()) }))
	}
}
