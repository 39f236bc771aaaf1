package index_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore"
)

// A model is what the index should say, computed entry by entry in the most
// obvious way: after each entry, every output is judged anew.
type model struct {
	roster    *enrolment.Roster
	outputs   map[string]*divergence.Output // by ecosystem and key
	ever      map[string]map[attestation.Digest]bool
	verdicts  map[string]divergence.Verdict
	changes   map[string][]change
	days      map[string]map[time.Time]store.Counts
	sets      map[string][]string // newest revision
	watermark store.Watermark
	builders  map[uint32]store.BuilderStats
	operators map[uint32]bool
	known     map[string]bool // outputs with a number
	last      map[string]store.Counts
	said      map[string]bool // by builder and payload
}

type change struct {
	Index    uint64
	From, To divergence.Verdict
}

func newModel() *model {
	return &model{
		roster: enrolment.NewRoster(), outputs: map[string]*divergence.Output{}, verdicts: map[string]divergence.Verdict{},
		ever: map[string]map[attestation.Digest]bool{}, changes: map[string][]change{},
		days: map[string]map[time.Time]store.Counts{}, sets: map[string][]string{}, builders: map[uint32]store.BuilderStats{},
		operators: map[uint32]bool{}, known: map[string]bool{}, last: map[string]store.Counts{}, said: map[string]bool{},
	}
}

func name(ecosystem, key string) string { return ecosystem + " " + key }

func (m *model) apply(index uint64, e *ledger.Entry, log *memory) {
	m.watermark.Size = index + 1
	m.watermark.ReceivedAt = e.ReceivedAt
	switch e.Kind {
	case ledger.Enrolment, ledger.Revocation:
		if _, _, err := m.roster.Apply(index, e.Kind, e.Body); err != nil {
			m.watermark.Ignored++
		}
	case ledger.Attestation:
		v, err := sigstore.Open(e.Body, m.roster.Lookup, e.ReceivedAt)
		if err != nil {
			m.watermark.Ignored++
			break
		}
		said := string(v.Builder()) + v.PayloadDigest().String()
		if m.said[said] {
			m.watermark.Ignored++
			break
		}
		m.said[said] = true
		m.attest(index, e.ReceivedAt, v)
	case ledger.PackageSet:
		m.publish(e, log)
	}
	m.judge(index, e.ReceivedAt)
}

func (m *model) attest(index uint64, at time.Time, v *sigstore.Verified) {
	b, _ := m.roster.Builder(v.Builder())
	s := v.Statement()
	stats := m.builders[b.Number]
	stats.Builder, stats.LastSeen = b.Number, at
	stats.Attestations++
	m.watermark.Attestations++
	m.operators[b.OperatorNumber] = true
	switch s.Type {
	case attestation.Rebuild:
		for _, build := range s.Builds {
			for _, i := range build.Outputs {
				subject := s.Subjects[i]
				n := name(s.Ecosystem, subject.Name)
				claim := divergence.Claim{Builder: b.Number, Digest: subject.Digest, Index: index}
				if !build.InputsDigest.IsZero() {
					claim.Inputs = divergence.NewInputsKey(build.InputsDigest)
				}
				m.output(n).Add(claim)
				m.ever[n][subject.Digest] = true
			}
		}
		m.watermark.Observations += uint64(len(s.Subjects))
		stats.Observations += uint64(len(s.Subjects))
	case attestation.Withdraw:
		for _, subject := range s.Subjects {
			if n := name(s.Ecosystem, subject.Name); m.known[n] {
				m.output(n).Withdraw(b.Number, subject.Digest)
			}
		}
	case attestation.BuildFailed:
		m.watermark.Failures += uint64(len(s.Builds))
	}
	m.builders[b.Number] = stats
}

func (m *model) output(n string) *divergence.Output {
	if !m.known[n] {
		m.known[n] = true
		m.outputs[n] = &divergence.Output{}
		m.ever[n] = map[attestation.Digest]bool{}
		m.watermark.Outputs++
	}
	return m.outputs[n]
}

func (m *model) publish(e *ledger.Entry, log *memory) {
	entry, err := pkgset.ParseEntry(e.Body)
	if err != nil {
		m.watermark.Ignored++
		return
	}
	members := must(pkgset.Decode(entry.Ecosystem, log.attachments[entry.SHA256]))
	m.sets[entry.Name] = []string{}
	for _, member := range members {
		if !member.Fixed {
			n := name(entry.Ecosystem, member.Key)
			m.output(n)
			m.sets[entry.Name] = append(m.sets[entry.Name], n)
		}
	}
	delete(m.last, entry.Name) // a revision is counted even if nothing changes
}

func (m *model) judge(index uint64, at time.Time) {
	var all store.Counts
	for n, o := range m.outputs {
		was, is := m.verdicts[n], divergence.Judge(o, m.roster).Verdict
		if is != divergence.Unbuilt {
			all[is]++
		}
		if was != is {
			m.verdicts[n] = is
			m.changes[n] = append(m.changes[n], change{index, was, is})
		}
	}
	m.note("", all, at)
	for set, members := range m.sets {
		var counts store.Counts
		for _, n := range members {
			counts[m.verdicts[n]]++
		}
		m.note(set, counts, at)
	}
}

func (m *model) note(scope string, counts store.Counts, at time.Time) {
	last, counted := m.last[scope]
	if counted && last == counts || !counted && scope == "" && counts == (store.Counts{}) {
		return
	}
	m.last[scope] = counts
	if m.days[scope] == nil {
		m.days[scope] = map[time.Time]store.Counts{}
	}
	m.days[scope][at.Truncate(24*time.Hour)] = counts
}

// A result is what is compared between the model and the index.
type result struct {
	Watermark   store.Watermark
	Outputs     map[string]outputResult
	Days        map[string]map[time.Time]store.Counts
	Sets        map[string][]string
	Builders    map[uint32]store.BuilderStats
	Divergences map[string]divergenceResult
}

type outputResult struct {
	Judgement divergence.Judgement
	Since     uint64 // 0 where the verdict never changed
	Previous  divergence.Verdict
	Claims    []divergence.Claim
	Changes   []change
}

type divergenceResult struct {
	Shape    divergence.Shape
	Inputs   divergence.Inputs
	Since    uint64
	Previous divergence.Verdict
	Holders  []uint32
}

func (m *model) result() *result {
	r := &result{
		Watermark: m.watermark, Outputs: map[string]outputResult{}, Days: m.days, Sets: map[string][]string{},
		Builders: m.builders, Divergences: map[string]divergenceResult{},
	}
	r.Watermark.Builders, r.Watermark.Operators = uint32(len(m.builders)), uint32(len(m.operators))
	for n, o := range m.outputs {
		var last change
		if changes := m.changes[n]; len(changes) > 0 {
			last = changes[len(changes)-1]
		}
		j := divergence.Judge(o, m.roster)
		r.Outputs[n] = outputResult{j, last.Index, last.From, o.Claims, m.changes[n]}
		if j.Verdict == divergence.Diverged {
			r.Divergences[n] = divergenceResult{j.Shape, j.Inputs, last.Index, last.From, m.holders(o)}
		}
	}
	for set, members := range m.sets {
		r.Sets[set] = slices.Sorted(slices.Values(members))
	}
	return r
}

// holders are the builders whose claims count.
func (m *model) holders(o *divergence.Output) []uint32 {
	found := map[uint32]bool{}
	for _, c := range o.Claims {
		if _, counted := m.roster.Counts(c.Builder, c.Index); counted {
			found[c.Builder] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// read returns what the index says.
func read(ctx context.Context, tables *store.Tables) (*result, error) {
	r := &result{
		Outputs: map[string]outputResult{}, Days: map[string]map[time.Time]store.Counts{},
		Sets: map[string][]string{}, Builders: map[uint32]store.BuilderStats{}, Divergences: map[string]divergenceResult{},
	}
	var err error
	if r.Watermark, err = tables.Watermark(ctx); err != nil {
		return nil, err
	}
	numbers := make([]uint32, r.Watermark.Outputs)
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	names, err := tables.Names(ctx, numbers)
	if err != nil {
		return nil, err
	}
	changes, err := tables.ChangesBefore(ctx, numbers, store.Newest)
	if err != nil {
		return nil, err
	}
	for s, err := range tables.AllStates(ctx) {
		if err != nil {
			return nil, err
		}
		o := outputResult{s.Judgement, s.Since, s.Previous, s.Claims.Claims, nil}
		for _, c := range changes[s.Output] {
			o.Changes = append(o.Changes, change{c.Index, c.Old, c.New})
		}
		n := names[s.Output]
		r.Outputs[name(n.Ecosystem, n.Key)] = o
	}
	divergences, err := tables.Divergences(ctx, store.DivergenceFilter{}, nil, 1000)
	if err != nil {
		return nil, err
	}
	for _, d := range divergences {
		n := names[d.Output]
		r.Divergences[name(n.Ecosystem, n.Key)] = divergenceResult{d.Shape, d.Inputs, d.Since, d.Previous, d.Holders}
	}
	return r, r.readTotals(ctx, tables, names)
}

func (r *result) readTotals(ctx context.Context, tables *store.Tables, names map[uint32]store.OutputName) error {
	builders, err := tables.Builders(ctx)
	if err != nil {
		return err
	}
	for _, b := range builders {
		b.Version = 0
		r.Builders[b.Builder] = b
	}
	sets, err := tables.NewestSets(ctx)
	if err != nil {
		return err
	}
	scopes := []string{""}
	for _, s := range sets {
		scopes = append(scopes, s.Name)
		r.Sets[s.Name] = []string{}
	}
	for m, err := range tables.Memberships(ctx, r.Watermark.Size) {
		if err != nil {
			return err
		}
		n := names[m.Output]
		r.Sets[m.Set] = append(r.Sets[m.Set], name(n.Ecosystem, n.Key))
	}
	for _, members := range r.Sets {
		slices.Sort(members)
	}
	for _, scope := range scopes {
		days, err := tables.Days(ctx, scope)
		if err != nil {
			return err
		}
		for _, d := range days {
			if r.Days[scope] == nil {
				r.Days[scope] = map[time.Time]store.Counts{}
			}
			r.Days[scope][d.Day] = d.Counts
		}
	}
	return nil
}

var sameResult = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)}

// random writes a history of n entries in which everything happens.
func (w *world) random(r *rand.Rand, n int) {
	type builder struct {
		signer   *signing.Signer
		operator string
	}
	var builders []builder
	for i := range 7 {
		builders = append(builders, builder{signingtest.Named(strconv.Itoa(i)), fmt.Sprintf("operator-%d", i/2)}) // operators with two builders
	}
	ecosystems := []string{"generic", "debian"}
	tier := func() enrolment.Tier {
		if r.IntN(4) == 0 {
			return enrolment.Open
		}
		return enrolment.Counted
	}
	choose := func(n int) string { return fmt.Sprintf("p%d", r.IntN(n)) }
	type statement struct {
		by   *signing.Signer
		said *attestation.Statement
	}
	var statements []statement
	for range n {
		w.now = w.now.Add(time.Duration(r.IntN(6*3600)) * time.Second)
		b := builders[r.IntN(len(builders))]
		ecosystem := ecosystems[r.IntN(2)]
		switch p := r.IntN(100); {
		case p < 12:
			w.enrol(b.signer, b.operator, tier())
		case p < 15:
			w.revoke(b.signer, uint64(r.IntN(len(w.log.entries)+5)))
		case p < 17:
			w.append(ledger.Rules, must(reading.Rules{Version: 1}.Encode())) // which judges already
		case p < 19:
			w.append([]ledger.Kind{ledger.Attestation, ledger.Enrolment, ledger.PackageSet}[r.IntN(3)], []byte("nonsense"))
		case p < 24:
			var members []pkgset.Member
			for i := range 12 {
				if r.IntN(2) == 0 {
					members = append(members, pkgset.Member{Key: key(fmt.Sprintf("p%d", i)), Version: choose(2), Fixed: r.IntN(8) == 0})
				}
			}
			w.publish([]string{"stable", "unstable"}[r.IntN(2)], choose(1000), ecosystem, members)
		case p < 30 && len(statements) > 0:
			s := statements[r.IntN(len(statements))]
			w.attest(s.by, s.said) // a duplicate
		case p < 40 && len(statements) > 0: // often what was said just before, and then it is said again
			last := statements[max(0, len(statements)-1-r.IntN(3))]
			s := *last.said
			s.Type, s.Builds, s.Reason = attestation.Withdraw, nil, "a mistake"
			w.attest(last.by, &s)
			switch r.IntN(3) {
			case 0: // a duplicate, which brings nothing back
				w.attest(last.by, last.said)
			case 1:
				anew := *last.said
				anew.Builds = slices.Clone(anew.Builds)
				anew.Builds[0].Finished = w.now
				w.attest(last.by, &anew)
			}
		case p < 44:
			s := w.rebuild(ecosystem, choose(10), choose(3))
			s.Type, s.Subjects[0].Name = attestation.BuildFailed, s.Builds[0].Name
			s.Builds[0].Failure = "no space left"
			w.attest(b.signer, s)
		default:
			claims := map[string]string{}
			for range 1 + r.IntN(6) {
				claims[choose(10)] = choose(1 + r.IntN(3)) // often the same digest
			}
			var pairs []string
			for _, k := range slices.Sorted(maps.Keys(claims)) {
				pairs = append(pairs, k, claims[k])
			}
			s := w.rebuild(ecosystem, pairs...)
			for i := range s.Builds {
				if r.IntN(2) == 0 {
					s.Builds[i].InputsDigest = digest(choose(3))
				}
			}
			w.attest(b.signer, s)
			statements = append(statements, statement{b.signer, s})
		}
	}
}

// modelOf returns what the model says of a whole ledger.
func modelOf(w *world) *result {
	m := newModel()
	for i, e := range w.log.entries {
		m.apply(uint64(i), e, w.log)
	}
	return m.result()
}

// TestVerdictsAreAFunctionOfTheLedger compares the index with the model, on
// random histories and in batches of several sizes.
func TestVerdictsAreAFunctionOfTheLedger(t *testing.T) {
	for seed := range uint64(2) {
		w := newWorld(t)
		w.random(rand.New(rand.NewPCG(seed, 0)), 100)
		want := modelOf(w)
		for _, size := range []int{1, 7, 10_000} {
			t.Run(fmt.Sprintf("seed %d, batches of %d", seed, size), func(t *testing.T) {
				s := openStore(t)
				if err := newIndex(t, index.Config{MaxEntries: size}, s, w.log).CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				got, err := read(t.Context(), s.Current())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, sameResult); diff != "" {
					t.Errorf("index differs from model (-model +index):\n%s", diff)
				}
			})
		}
	}
}
