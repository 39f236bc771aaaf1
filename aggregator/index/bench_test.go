package index_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

// A load is a ledger that is made while it is read: builders that go through a
// universe of outputs, each in an order of its own that looks random, and when
// they are through, again. Then every tenth output is a new one. Three in a
// hundred diverge.
type load struct {
	builders []*signing.Signer
	universe int
	perEntry int // outputs of a statement
	entries  int
	ready    map[uint64]*ledger.Entry // made before the clock ran
}

const loadBuilders = 5

func newLoad(stored, perEntry int) *load {
	l := &load{universe: max(stored/loadBuilders, 1000), perEntry: perEntry, ready: map[uint64]*ledger.Entry{}}
	for i := range loadBuilders {
		l.builders = append(l.builders, signingtest.Named(strconv.Itoa(i)))
	}
	l.entries = loadBuilders + stored/perEntry
	return l
}

func (l *load) Size() uint64 { return uint64(l.entries) }

func (*load) Erasures(context.Context, uint64, uint64) ([]attestation.Digest, error) { return nil, nil }

func (l *load) Attachment(context.Context, attestation.Digest) ([]byte, error) {
	return nil, fmt.Errorf("a load has no attachments")
}

var loadTime = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func (l *load) entry(i uint64) *ledger.Entry {
	if e, ok := l.ready[i]; ok {
		return e
	}
	e := &ledger.Entry{Kind: ledger.Enrolment, ReceivedAt: loadTime.Add(time.Duration(i) * time.Second)}
	if i < loadBuilders {
		signer := l.builders[i]
		document := enrolment.Enrolment{
			Builder: signer.Public().Builder(), PublicKey: signer.Public().DER(), Operator: fmt.Sprintf("operator-%d", i), Tier: enrolment.Counted,
		}
		e.Body = must(document.Encode())
		return e
	}
	builder, round := int(i%loadBuilders), int(i/loadBuilders)
	s := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Chain:       attestation.Chain{Stream: fmt.Sprintf("%032x", builder), Sequence: uint64(round), Previous: digest("previous")},
		Environment: map[string]string{"system": "x86_64-linux", "nix": "2.28.3", "kernel": "6.12.9"},
	}
	for k := range l.perEntry {
		n := round*l.perEntry + k
		output := (n*(7919+2*builder) + builder*31) % l.universe
		if n >= l.universe && n%10 == 9 {
			output = n*loadBuilders + builder
		}
		hash := nixHash(output)
		content := fmt.Sprint(output)
		if output%100 < 3 {
			content += fmt.Sprint(builder % 2)
		}
		path := "/nix/store/" + hash + "-package-" + strconv.Itoa(output%3000) + "-1.2.3"
		s.Subjects = append(s.Subjects, attestation.Subject{Name: path, Digest: digest(content)})
		s.Builds = append(s.Builds, attestation.Build{
			Name: path[:11] + nixHash(-output-1) + path[43:] + ".drv", Outputs: []int{k}, Finished: loadTime, Occasion: attestation.OccasionBuild,
			InputsDigest: digest("inputs" + content),
		})
	}
	e.Kind, e.Body = ledger.Attestation, must(l.builders[builder].Sign(context.Background(), s))
	return e
}

// nixHash is 32 characters of Nix's base 32 that look random.
func nixHash(n int) string {
	const alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
	sum := digest(strconv.Itoa(n))
	var text strings.Builder
	for _, b := range sum {
		text.WriteByte(alphabet[b%32])
	}
	return text.String()
}

// Entries makes entries on all cores.
func (l *load) Entries(ctx context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
	return func(yield func(*ledger.Entry, error) bool) {
		const group = 64
		for from < to && ctx.Err() == nil {
			n := min(group, to-from)
			made := l.makeEntries(from, n)
			for _, e := range made {
				if !yield(e, nil) {
					return
				}
			}
			from += n
		}
	}
}

func (l *load) makeEntries(from, n uint64) []*ledger.Entry {
	made := make([]*ledger.Entry, n)
	var workers sync.WaitGroup
	for part := range slices.Chunk(made, max(1, (len(made)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))) {
		start := from
		from += uint64(len(part))
		workers.Go(func() {
			for i := range part {
				part[i] = l.entry(start + uint64(i))
			}
		})
	}
	workers.Wait()
	return made
}

func (l *load) Grow(entries int) {
	from := uint64(l.entries)
	for i, e := range l.makeEntries(from, uint64(entries)) {
		l.ready[from+uint64(i)] = e
	}
	l.entries += entries
}

// BenchmarkIndex measures how fast signed statements become judged verdicts,
// with a number of observations stored before ($REPRONET_BENCH_STORED, by
// default 200,000) and so many more indexed under the clock
// ($REPRONET_BENCH_INDEXED). It prints beside it the bare costs: opening the
// same statements on all cores, and inserting the same observations.
func BenchmarkIndex(b *testing.B) {
	stored, indexed := number(b, "REPRONET_BENCH_STORED", 200_000), number(b, "REPRONET_BENCH_INDEXED", 100_000)
	const perEntry = 100
	for b.Loop() {
		l := newLoad(stored, perEntry)
		s := openStore(b)
		x, err := index.New(b.Context(), index.Config{Progress: progress()}, s, l)
		if err != nil {
			b.Fatal(err)
		}
		if err := x.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := x.RollUp(b.Context()); err != nil { // as it is done every few minutes
			b.Fatal(err)
		}
		b.ReportMetric(residentMiB(b), "MiB-RSS") // before entries are made in advance
		l.Grow(indexed / perEntry)
		runtime.GC()

		start, used := time.Now(), processTime(b)
		if err := x.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(indexed)/time.Since(start).Seconds(), "outputs/s")
		b.ReportMetric(float64((processTime(b)-used).Microseconds())/float64(indexed), "CPU-µs/output")
		b.ReportMetric(openRate(b, l, indexed/perEntry)*perEntry, "opened/s")
		start = time.Now()
		if err := x.RollUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-roll-up")
		reportDisk(b, s)
		b.ReportMetric(insertRate(b, s, indexed), "inserted/s")
	}
}

// processTime is the time that the process's threads ran: what is left to compare
// on a machine that others use too.
func processTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func number(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("$%s: %v", name, err)
	}
	return n
}

func progress() func(indexed, size uint64) {
	last := time.Now()
	return func(indexed, size uint64) {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "%d of %d entries\n", indexed, size)
		}
	}
}

// openRate measures sigstore.Open alone, on all cores.
func openRate(b *testing.B, l *load, n int) float64 {
	keys := map[signing.BuilderID]signing.Key{}
	for _, signer := range l.builders {
		keys[signer.Public().Builder()] = signing.Key{PublicKey: signer.Public()}
	}
	lookup := func(id signing.BuilderID) (signing.Key, error) { return keys[id], nil }
	start := time.Now()
	var workers sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := w; i < n; i += runtime.GOMAXPROCS(0) {
				if _, err := sigstore.Open(l.entry(l.Size()-1-uint64(i)).Body, lookup, loadTime); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
	return float64(n) / time.Since(start).Seconds()
}

// insertRate measures the insertion of observations alone.
func insertRate(b *testing.B, s *store.Store, n int) float64 {
	rows := make([]store.Observation, n)
	for i := range rows {
		d := digest(strconv.Itoa(i))
		rows[i] = store.Observation{Output: uint32(i), Index: 1 << 40, Builder: uint32(i % 5), Digest: store.Short(d[:])}
	}
	start := time.Now()
	for part := range slices.Chunk(rows, 65_536) {
		if err := s.Current().Write(b.Context(), &store.Batch{Observations: part}); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

func reportDisk(b *testing.B, s *store.Store) {
	watermark, err := s.Current().Watermark(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	usage, err := s.Current().DiskUsage(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	total := uint64(0)
	var tables strings.Builder
	for _, table := range slices.Sorted(maps.Keys(usage)) {
		fmt.Fprintf(&tables, " %s %.2f", table, float64(usage[table])/float64(watermark.Observations))
		total += usage[table]
	}
	fmt.Fprintf(os.Stderr, "bytes/observation:%s\n", tables.String())
	b.ReportMetric(float64(total)/float64(watermark.Observations), "bytes/observation")
}

// residentMiB is the resident memory of this process.
func residentMiB(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	return 0
}
