package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/pkgset"
	"repronet.dev/reading"
	"repronet.dev/replay"
)

// A gatherer sets aside what the entries of a ledger say, in ledger order.
type gatherer struct {
	spill *replay.Spill
	// from is the begin of the first month of which rows are written; those of earlier
	// ones are in the snapshot before.
	from Time
	// times are when the entries were received: 8 bytes for each.
	times []Time
	sets  []Set
	// known says of which outputs a name was written lately, and whether with a build, so
	// that it is not written with every observation.
	known *[1 << 19]knownName
	buf   []byte
}

// A knownName is an output of which a fact with its key was written.
type knownName struct {
	id    attestation.OutputID
	build bool // and with its build
}

func newGatherer(dir string, from Time) (*gatherer, error) {
	spill, err := replay.NewSpill(dir)
	return &gatherer{spill: spill, from: from, known: new([1 << 19]knownName)}, err
}

// observe takes an entry in.
func (g *gatherer) observe(o *replay.Observed) error {
	g.times = append(g.times, timeOf(o.ReceivedAt))
	if o.Repeated {
		return nil
	}
	switch said := o.Said.(type) {
	case *reading.Statement:
		return g.statement(o, said)
	case *reading.Document:
		return g.document(o, said)
	case *reading.Set:
		if o.Members != nil {
			return g.set(o, said)
		}
	}
	return nil
}

// timeOf rounds a time down to milliseconds; the zero time is not known.
func timeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

func (g *gatherer) statement(o *replay.Observed, s *reading.Statement) error {
	environment, err := g.environment(o, s.Environment)
	if err != nil {
		return err
	}
	for w := range s.Withdrawals() {
		if err := g.add(&fact{id: w.ID, kind: withdrawn, index: o.Index, ecosystem: s.Ecosystem, key: w.Output, builder: w.Builder, digest: w.Digest}); err != nil {
			return err
		}
	}
	for c := range s.Claims() {
		if err := g.add(&fact{
			id: c.ID, kind: observed, index: o.Index, ecosystem: s.Ecosystem, key: c.Output, build: c.Build.Name, builder: c.Builder,
			digest: c.Digest, inputs: c.Build.InputsDigest, environment: environment, finished: timeOf(c.Build.Finished),
			occasion: string(c.Build.Occasion), digestKind: string(s.DigestKind),
		}); err != nil {
			return err
		}
	}
	return g.failures(o, s, environment)
}

// failures sets each recipe aside that could not be built, once.
func (g *gatherer) failures(o *replay.Observed, s *reading.Statement, environment string) error {
	builds := s.Builds
	for _, recipe := range s.Failures() {
		for builds[0].Name != recipe { // in the same order
			builds = builds[1:]
		}
		b := &builds[0]
		if err := g.add(&fact{
			id: attestation.NewOutputID(s.Ecosystem, recipe), kind: failed, index: o.Index, ecosystem: s.Ecosystem, key: recipe, builder: s.Number,
			environment: environment, finished: timeOf(b.Finished), occasion: string(b.Occasion), text: b.Failure,
		}); err != nil {
			return err
		}
	}
	return nil
}

// environment sets a statement's environment aside, and returns its ID; "" of one that
// says nothing of it.
func (g *gatherer) environment(o *replay.Observed, traits map[string]string) (string, error) {
	if len(traits) == 0 {
		return "", nil
	}
	text, err := json.Marshal(traits, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	f := fact{id: attestation.OutputID(sum[:20]), kind: environment, index: o.Index, key: string(text)}
	return hex.EncodeToString(sum[:20]), g.add(&f)
}

func (g *gatherer) document(o *replay.Observed, d *reading.Document) error {
	if d.Reason() != "" {
		return nil
	}
	for c := range d.Claims() {
		if err := g.add(&fact{
			id: c.ID, kind: observed, index: o.Index, ecosystem: d.Ecosystem, key: c.Output, builder: c.Builder, digest: c.Digest,
			inputs: d.Inputs, document: true, signed: Time(1000 * c.SignedAt), ambiguous: c.Ambiguous, digestKind: string(d.DigestKind),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherer) set(o *replay.Observed, s *reading.Set) error {
	g.sets = append(g.sets, Set{
		Set: s.Name, Revision: s.Revision, Index: o.Index, ReceivedAt: timeOf(o.ReceivedAt), Ecosystem: s.Ecosystem,
		Members: uint64(len(o.Members.Counted)), Attachment: s.SHA256.Hex(),
	})
	for _, list := range [][]pkgset.Member{o.Members.Counted, o.Members.Fixed} {
		for i := range list {
			m := &list[i]
			if err := g.add(&fact{
				id: attestation.NewOutputID(s.Ecosystem, m.Key), kind: member, index: o.Index, ecosystem: s.Ecosystem, key: m.Key, build: m.Build,
				fixed: m.Fixed, text: m.Attribute, version: m.Version, system: m.System, maintainers: m.Maintainers, edges: m.Inputs,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// add sets a fact aside. Of one whose rows are in the snapshot before only the names are
// kept.
func (g *gatherer) add(f *fact) error {
	names := f.kind == observed || f.kind == member && !f.fixed
	if f.kind != environment && g.times[f.index] < g.from {
		if !names {
			return nil
		}
		*f = fact{id: f.id, kind: named, index: f.index, ecosystem: f.ecosystem, key: f.key, build: f.build}
	}
	known := &g.known[binary.BigEndian.Uint32(f.id[:])%uint32(len(g.known))]
	switch {
	case known.id != f.id:
		*known = knownName{f.id, names && f.build != ""}
	case !names || known.build || f.build == "":
		if f.kind == named {
			return nil
		}
		f.key = ""
		if f.kind != member { // whose row says the build itself
			f.build = ""
		}
	default:
		known.build = true
	}
	g.buf = f.append(g.buf[:0])
	return g.spill.Write(int(f.id[0]), g.buf)
}
