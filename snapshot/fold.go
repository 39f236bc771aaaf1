package snapshot

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/replay"
)

// A folder makes rows of what was set aside, and of the verdicts, in the order of IDs.
type folder struct {
	*gatherer
	builders []replay.BuilderTotal // by number
	tables   tables

	partition int      // that is being read
	data      []byte   // its facts
	places    []place  // of those that are left
	facts     []fact   // of one ID
	ids       []string // of builders, by number
}

// tables are those of all views.
type tables struct {
	observations *table[Observation]
	outputs      *table[Output]
	verdicts     *table[Verdict]
	changes      *table[Change]
	withdrawals  *table[Withdrawal]
	failures     *table[Failure]
	environments *table[Environment]
	builders     *table[Builder]
	operators    *table[Operator]
	sets         *table[Set]
	members      *table[Member]
	edges        *table[Edge]
}

func newTables(dir string, from Time) tables {
	return tables{
		newTable[Observation](dir, "observations", from), newTable[Output](dir, "outputs", from), newTable[Verdict](dir, "verdicts", from),
		newTable[Change](dir, "changes", from), newTable[Withdrawal](dir, "withdrawals", from), newTable[Failure](dir, "failures", from),
		newTable[Environment](dir, "environments", from), newTable[Builder](dir, "builders", from), newTable[Operator](dir, "operators", from),
		newTable[Set](dir, "sets", from), newTable[Member](dir, "members", from), newTable[Edge](dir, "edges", from),
	}
}

// A written is a table of any view: it is complete when it is closed, and given up after an error.
type written interface {
	close() error
	abandon()
}

func (t *tables) all() []written {
	return []written{
		t.observations, t.outputs, t.verdicts, t.changes, t.withdrawals, t.failures,
		t.environments, t.builders, t.operators, t.sets, t.members, t.edges,
	}
}

// A place is where in a partition a fact is.
type place struct {
	id attestation.OutputID
	at int
}

// judged writes the rows up to those of an output that was judged.
func (f *folder) judged(o *replay.Output) error {
	for {
		id, more, err := f.next()
		if err != nil || !more {
			return err
		}
		switch order := bytes.Compare(id[:], o.ID[:]); {
		case order > 0:
			return nil
		case order == 0:
			return f.write(o)
		}
		if err := f.write(nil); err != nil {
			return err
		}
	}
}

// rest writes the rows after the last output that was judged.
func (f *folder) rest() error {
	for {
		if _, more, err := f.next(); err != nil || !more {
			return err
		}
		if err := f.write(nil); err != nil {
			return err
		}
	}
}

// next returns the ID whose facts come next.
func (f *folder) next() (id attestation.OutputID, more bool, err error) {
	for len(f.places) == 0 {
		if f.partition == replay.Partitions {
			return id, false, nil
		}
		if f.data, err = f.spill.Bytes(f.partition); err != nil {
			return id, false, err
		}
		f.partition++
		f.places = f.places[:0:0]
		for at := 0; at < len(f.data); at += size(f.data[at:]) {
			f.places = append(f.places, place{idAt(f.data[at:]), at})
		}
		slices.SortFunc(f.places, func(a, b place) int {
			x, y := binary.BigEndian.Uint64(a.id[:]), binary.BigEndian.Uint64(b.id[:])
			return cmp.Or(cmp.Compare(x, y), bytes.Compare(a.id[8:], b.id[8:]), cmp.Compare(a.at, b.at))
		})
	}
	return f.places[0].id, true, nil
}

// write writes the rows of the ID that comes next; o is nil if it is of no output that
// was judged.
func (f *folder) write(o *replay.Output) error {
	id := f.places[0].id
	f.facts = f.facts[:0]
	var name, build string
	for ; len(f.places) > 0 && f.places[0].id == id; f.places = f.places[1:] {
		fact := decode(f.data[f.places[0].at:])
		name = cmp.Or(name, fact.key)
		if fact.kind == observed || fact.kind == named || fact.kind == member && !fact.fixed {
			build = cmp.Or(build, fact.build)
		}
		f.facts = append(f.facts, fact)
	}
	if f.facts[0].kind == environment {
		return f.environment(name)
	}
	for i := range f.facts {
		if err := f.fact(name, &f.facts[i]); err != nil {
			return err
		}
	}
	if o == nil {
		return nil
	}
	return f.output(f.facts[0].ecosystem, name, build, o)
}

// fact writes the rows of one fact about what has the name.
func (f *folder) fact(name string, of *fact) error {
	at := f.times[of.index]
	switch of.kind {
	case observed:
		row := Observation{
			Ecosystem: of.ecosystem, Output: name, Digest: of.digest.Hex(), DigestKind: of.digestKind, Builder: f.ids[of.builder],
			Index: of.index, ReceivedAt: at, FinishedAt: of.finished, Occasion: of.occasion, Environment: of.environment,
			Document: of.document, SignedAt: of.signed, Ambiguous: of.ambiguous,
		}
		if !of.inputs.IsZero() {
			row.InputsDigest = of.inputs.Hex()
		}
		return f.tables.observations.add(of.ecosystem, at, row)
	case withdrawn:
		return f.tables.withdrawals.add(of.ecosystem, at, Withdrawal{of.ecosystem, name, of.digest.Hex(), f.ids[of.builder], of.index, at})
	case failed:
		return f.tables.failures.add(of.ecosystem, at, Failure{
			of.ecosystem, name, f.ids[of.builder], of.index, at, of.finished, of.occasion, of.environment, of.text,
		})
	case member:
		return f.member(name, of, at)
	default:
		return nil
	}
}

func (f *folder) member(name string, of *fact, at Time) error {
	i, _ := slices.BinarySearchFunc(f.sets, of.index, func(s Set, index uint64) int { return cmp.Compare(s.Index, index) })
	set := &f.sets[i]
	if err := f.tables.members.add(of.ecosystem, at, Member{
		Set: set.Set, Revision: set.Revision, Index: of.index, Ecosystem: of.ecosystem, Output: name, Build: of.build,
		Attribute: of.text, Version: of.version, System: of.system, Maintainers: of.maintainers, Fixed: of.fixed,
	}); err != nil {
		return err
	}
	for _, input := range of.edges {
		if err := f.tables.edges.add(of.ecosystem, at, Edge{set.Set, set.Revision, of.index, of.ecosystem, name, input}); err != nil {
			return err
		}
	}
	return nil
}

// output writes what is judged of an output.
func (f *folder) output(ecosystem, name, build string, o *replay.Output) error {
	if err := f.tables.outputs.add(ecosystem, 0, Output{ecosystem, name, build, o.First, f.times[o.First]}); err != nil {
		return err
	}
	v := Verdict{
		Ecosystem: ecosystem, Output: name, Verdict: o.Judgement.Verdict.String(),
		Operators: uint32(o.Judgement.Operators), Digests: uint32(o.Judgement.Digests),
	}
	if o.Judgement.Verdict == divergence.Diverged {
		v.Shape = o.Judgement.Shape.String()
		v.Inputs = inputsNames[o.Judgement.Inputs]
	}
	if n := len(o.Changes); n > 0 {
		last := o.Changes[n-1]
		v.SinceIndex, v.SinceAt, v.Previous = last.Index, f.times[last.Index], last.From.String()
	}
	if err := f.tables.verdicts.add(ecosystem, 0, v); err != nil {
		return err
	}
	for _, c := range o.Changes {
		at := f.times[c.Index]
		if err := f.tables.changes.add(ecosystem, at, Change{ecosystem, name, c.Index, at, c.From.String(), c.To.String()}); err != nil {
			return err
		}
	}
	return nil
}

// inputsNames are those of divergence.Inputs.
var inputsNames = map[divergence.Inputs]string{divergence.InputsSame: "same", divergence.InputsDiffer: "differ"}

// environment writes the row of an environment, with its traits as one line of JSON.
func (f *folder) environment(text string) error {
	var traits map[string]string
	if err := json.Unmarshal([]byte(text), &traits); err != nil {
		return err
	}
	id, err := f.facts[0].id.MarshalText()
	if err != nil {
		return err
	}
	return f.tables.environments.add("", 0, Environment{
		Environment: string(id), FirstIndex: f.facts[0].index, Statements: uint64(len(f.facts)),
		BuildDir: traits["buildDir"], Compiler: traits["compiler"], Cores: traits["cores"], CPU: traits["cpu"], Filesystem: traits["filesystem"],
		Go: traits["go"], Kernel: traits["kernel"], Locale: traits["locale"], Nix: traits["nix"], OS: traits["os"], Sandbox: traits["sandbox"],
		System: traits["system"], Trimpath: traits["trimpath"], TZ: traits["tz"], Umask: traits["umask"],
	})
}

// people writes the builders, in the order of their enrolment, and their operators, by
// name.
func (f *folder) people() error {
	operators := map[string]*Operator{}
	for _, b := range f.builders {
		row := Builder{
			Builder: string(b.ID), Operator: b.Operator, Tier: string(b.Tier), EnrolledIndex: b.EnrolledAt, Revoked: b.Revoked,
			Replaces: string(b.Replaces), Attestations: b.Attestations, Observations: b.Observations, LastSeen: timeOf(b.LastSeen),
		}
		if b.Revoked {
			row.RevokedFrom, row.RevokedIndex = &b.RevokedFrom, &b.RevokedAt
		}
		if err := f.tables.builders.add("", 0, row); err != nil {
			return err
		}
		o, known := operators[b.Operator]
		if !known {
			o = &Operator{Operator: b.Operator, FirstIndex: b.EnrolledAt}
			operators[b.Operator] = o
		}
		o.Builders, o.Attestations, o.Observations = o.Builders+1, o.Attestations+b.Attestations, o.Observations+b.Observations
		o.FirstIndex = min(o.FirstIndex, b.EnrolledAt)
		if b.Tier == enrolment.Counted && !b.Revoked {
			o.Counted++
		}
	}
	for _, o := range slices.SortedFunc(maps.Values(operators), func(a, b *Operator) int { return cmp.Compare(a.Operator, b.Operator) }) {
		if err := f.tables.operators.add("", 0, *o); err != nil {
			return err
		}
	}
	return nil
}

// published writes the revisions of package sets, in ledger order.
func (f *folder) published() error {
	newest := map[string]uint64{}
	for _, s := range f.sets {
		newest[s.Set] = s.Index
	}
	for _, s := range f.sets {
		s.Newest = newest[s.Set] == s.Index
		if err := f.tables.sets.add("", 0, s); err != nil {
			return err
		}
	}
	return nil
}
