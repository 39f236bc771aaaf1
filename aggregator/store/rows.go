package store

import (
	"encoding/binary"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// NoBuilder stands for the builder of an entry that has none.
const NoBuilder = 1<<32 - 1

// Newest is the Until of a member of a set's newest revision.
const Newest = 1<<64 - 1

// A Watermark says how far the index has come and what there is up to there.
type Watermark struct {
	Size         uint64 // entries indexed: 0 … Size-1
	Outputs      uint32 // numbered
	Attestations uint64
	Observations uint64
	Failures     uint64
	Ignored      uint64
	Builders     uint32 // with an attestation
	Operators    uint32 // behind those
	ReceivedAt   time.Time
	// Origin is the key of the ledger of which these are, Root the root hash of its
	// first Size entries; empty where that was not known.
	Origin string
	Root   []byte
}

// An Entry is a ledger entry's row.
type Entry struct {
	Index      uint64
	ReceivedAt time.Time
	Kind       string
	Builder    uint32 // or NoBuilder
	Outputs    uint32 // that it claims
	Ignored    string // why it moves nothing, or ""
}

// A Statement is an attestation's place in its builder's chains.
type Statement struct {
	Builder  uint32
	Stream   [16]byte
	Sequence uint64
	Index    uint64
	Payload  attestation.Digest
	Skipped  []attestation.Digest
}

// A RosterEntry is an enrolment or revocation.
type RosterEntry struct {
	Index uint64
	Kind  string
	Body  []byte
}

// An OutputName is what an output is called.
type OutputName struct {
	Output    uint32
	Version   uint64 // the greatest holds
	Ecosystem string
	Key       string
	Build     string
	Name      string // within the build, "" where unknown
}

// An OutputKey is what identifies an output.
type OutputKey struct {
	Output         uint32
	Ecosystem, Key string
}

// ID is what both make up.
func (k OutputKey) ID() attestation.OutputID { return attestation.NewOutputID(k.Ecosystem, k.Key) }

// A Pair leads from the first 8 bytes of a hash to an output.
type Pair struct {
	Hash   uint64
	Output uint32
}

// Short returns what a Pair holds of a hash.
func Short(hash []byte) uint64 { return binary.BigEndian.Uint64(hash) }

// An Observation is one statement's claim of one output.
type Observation struct {
	Output  uint32
	Index   uint64
	Builder uint32
	Digest  uint64 // short; the whole is in the output's claims, or withdrawn
}

// A Withdrawal is a claim that its builder took back.
type Withdrawal struct {
	Output  uint32
	Index   uint64 // of the entry that took it back
	Builder uint32
	Digest  attestation.Digest
}

// A Failure is one statement's word that a build failed.
type Failure struct {
	Build   uint64 // as in Pair
	Index   uint64
	Builder uint32
}

// A Judged output is what is judged of it after the entries before Version. Only
// the index judges: everything else reads.
type Judged struct {
	ID      attestation.OutputID
	Version uint64
	Output  uint32
	divergence.Judgement
	Previous divergence.Verdict // the one before
	Since    uint64             // the entry that last changed the verdict, 0 where none did
}

// A State is a judged output with the claims that stand on it.
type State struct {
	Judged
	Claims divergence.Output
}

// A Change is a transition from one verdict to another.
type Change struct {
	Output   uint32
	Index    uint64
	Old, New divergence.Verdict
}

// A Divergence is the row of an output that diverges, or did. It repeats what
// its [Judged] says, for the list of divergences and its filters.
type Divergence struct {
	Output   uint32
	Version  uint64
	Diverged bool
	Shape    divergence.Shape
	Inputs   divergence.Inputs
	Since    uint64
	Previous divergence.Verdict
	Holders  []uint32 // builders whose claims count
}

// Counts are numbers of outputs by verdict (the index).
type Counts [4]uint64

// DayCounts are a scope's counts at the end of a day, complete up to Version.
type DayCounts struct {
	Scope   string // "" or a package set's name
	Day     time.Time
	Version uint64
	Counts  Counts
}

// BuilderStats are a builder's totals after the entries before Version.
type BuilderStats struct {
	Builder      uint32
	Version      uint64
	Attestations uint64
	Observations uint64
	LastSeen     time.Time
}

// A Set is one revision of a package set.
type Set struct {
	Name       string
	Index      uint64
	Revision   string
	Ecosystem  string
	Members    uint64 // fixed-output ones not among them
	ReceivedAt time.Time
}

// A Member is what a package set says of one output from the revision at ledger
// index Since to before the one at Until.
type Member struct {
	Output       uint32
	Set          string
	Since, Until uint64
	Name         string // within the build
	Attribute    string
	Version      string
	System       string
	Maintainers  []string
	Inputs       []uint32 // outputs of the set
}

func watermarkColumns() []column[Watermark] {
	return []column[Watermark]{
		col("size", "UInt64", func(r *Watermark) uint64 { return r.Size }),
		col("outputs", "UInt32", func(r *Watermark) uint32 { return r.Outputs }),
		col("attestations", "UInt64", func(r *Watermark) uint64 { return r.Attestations }),
		col("observations", "UInt64", func(r *Watermark) uint64 { return r.Observations }),
		col("failures", "UInt64", func(r *Watermark) uint64 { return r.Failures }),
		col("ignored", "UInt64", func(r *Watermark) uint64 { return r.Ignored }),
		col("builders", "UInt32", func(r *Watermark) uint32 { return r.Builders }),
		col("operators", "UInt32", func(r *Watermark) uint32 { return r.Operators }),
		col("received_at", "DateTime64(3, 'UTC')", func(r *Watermark) time.Time { return r.ReceivedAt }),
		col("origin", "String", func(r *Watermark) string { return r.Origin }),
		col("root", "String", func(r *Watermark) string { return string(r.Root) }),
	}
}

func entryColumns() []column[Entry] {
	return []column[Entry]{
		col("log_index", "UInt64", func(r *Entry) uint64 { return r.Index }),
		col("received_at", "DateTime64(3, 'UTC')", func(r *Entry) time.Time { return r.ReceivedAt }),
		col("kind", "LowCardinality(String)", func(r *Entry) string { return r.Kind }),
		col("builder", "UInt32", func(r *Entry) uint32 { return r.Builder }),
		col("outputs", "UInt32", func(r *Entry) uint32 { return r.Outputs }),
		col("ignored", "String", func(r *Entry) string { return r.Ignored }),
	}
}

func statementColumns() []column[Statement] {
	return []column[Statement]{
		col("builder", "UInt32", func(r *Statement) uint32 { return r.Builder }),
		col("stream", "FixedString(16)", func(r *Statement) []byte { return r.Stream[:] }),
		col("sequence", "UInt64", func(r *Statement) uint64 { return r.Sequence }),
		col("log_index", "UInt64", func(r *Statement) uint64 { return r.Index }),
		col("payload", "FixedString(32)", func(r *Statement) []byte { return r.Payload[:] }),
		col("skipped", "Array(FixedString(32))", func(r *Statement) []string {
			skipped := make([]string, len(r.Skipped))
			for i, d := range r.Skipped {
				skipped[i] = string(d[:])
			}
			return skipped
		}),
	}
}

func rosterColumns() []column[RosterEntry] {
	return []column[RosterEntry]{
		col("log_index", "UInt64", func(r *RosterEntry) uint64 { return r.Index }),
		col("kind", "LowCardinality(String)", func(r *RosterEntry) string { return r.Kind }),
		col("body", "String", func(r *RosterEntry) string { return string(r.Body) }),
	}
}

func ecosystemColumns() []column[string] {
	return []column[string]{col("name", "String", func(r *string) string { return *r })}
}

func outputColumns() []column[OutputName] {
	return []column[OutputName]{
		col("output", "UInt32", func(r *OutputName) uint32 { return r.Output }),
		col("version", "UInt64", func(r *OutputName) uint64 { return r.Version }),
		col("ecosystem", "LowCardinality(String)", func(r *OutputName) string { return r.Ecosystem }),
		col("key", "String", func(r *OutputName) string { return r.Key }),
		col("build", "String", func(r *OutputName) string { return r.Build }),
		col("name", "LowCardinality(String)", func(r *OutputName) string { return r.Name }),
	}
}

func pairColumns(hash string) []column[Pair] {
	return []column[Pair]{
		col(hash, "UInt64", func(r *Pair) uint64 { return r.Hash }),
		col("output", "UInt32", func(r *Pair) uint32 { return r.Output }),
	}
}

func observationColumns() []column[Observation] {
	return []column[Observation]{
		col("output", "UInt32", func(r *Observation) uint32 { return r.Output }),
		col("log_index", "UInt64", func(r *Observation) uint64 { return r.Index }),
		col("builder", "UInt32", func(r *Observation) uint32 { return r.Builder }),
		col("digest", "UInt64", func(r *Observation) uint64 { return r.Digest }),
	}
}

func withdrawalColumns() []column[Withdrawal] {
	return []column[Withdrawal]{
		col("output", "UInt32", func(r *Withdrawal) uint32 { return r.Output }),
		col("log_index", "UInt64", func(r *Withdrawal) uint64 { return r.Index }),
		col("builder", "UInt32", func(r *Withdrawal) uint32 { return r.Builder }),
		col("digest", "FixedString(32)", func(r *Withdrawal) []byte { return r.Digest[:] }),
	}
}

func failureColumns() []column[Failure] {
	return []column[Failure]{
		col("build", "UInt64", func(r *Failure) uint64 { return r.Build }),
		col("log_index", "UInt64", func(r *Failure) uint64 { return r.Index }),
		col("builder", "UInt32", func(r *Failure) uint32 { return r.Builder }),
	}
}

func stateColumns() []column[State] {
	return []column[State]{
		col("hash", "UInt64", func(r *State) uint64 { return Short(r.ID[:]) }),
		col("rest", "FixedString(12)", func(r *State) []byte { return r.ID[8:] }),
		col("version", "UInt64", func(r *State) uint64 { return r.Version }),
		col("output", "UInt32", func(r *State) uint32 { return r.Output }),
		col("verdict", "UInt8", func(r *State) uint8 { return uint8(r.Verdict) }),
		col("previous", "UInt8", func(r *State) uint8 { return uint8(r.Previous) }),
		col("since", "UInt64", func(r *State) uint64 { return r.Since }),
		col("operators", "UInt32", func(r *State) uint32 { return uint32(r.Operators) }),
		col("digests", "UInt32", func(r *State) uint32 { return uint32(r.Digests) }),
		col("shape", "UInt8", func(r *State) uint8 { return uint8(r.Shape) }),
		col("inputs", "UInt8", func(r *State) uint8 { return uint8(r.Inputs) }),
		col("claims", "String", func(r *State) []byte { return r.Claims.Append(nil) }),
	}
}

func changeColumns() []column[Change] {
	return []column[Change]{
		col("output", "UInt32", func(r *Change) uint32 { return r.Output }),
		col("log_index", "UInt64", func(r *Change) uint64 { return r.Index }),
		col("old", "UInt8", func(r *Change) uint8 { return uint8(r.Old) }),
		col("new", "UInt8", func(r *Change) uint8 { return uint8(r.New) }),
	}
}

func divergenceColumns() []column[Divergence] {
	return []column[Divergence]{
		col("output", "UInt32", func(r *Divergence) uint32 { return r.Output }),
		col("version", "UInt64", func(r *Divergence) uint64 { return r.Version }),
		col("diverged", "UInt8", func(r *Divergence) uint8 {
			if r.Diverged {
				return 1
			}
			return 0
		}),
		col("shape", "UInt8", func(r *Divergence) uint8 { return uint8(r.Shape) }),
		col("inputs", "UInt8", func(r *Divergence) uint8 { return uint8(r.Inputs) }),
		col("since", "UInt64", func(r *Divergence) uint64 { return r.Since }),
		col("previous", "UInt8", func(r *Divergence) uint8 { return uint8(r.Previous) }),
		col("holders", "Array(UInt32)", func(r *Divergence) []uint32 { return r.Holders }),
	}
}

func countColumns() []column[DayCounts] {
	of := func(v divergence.Verdict) func(*DayCounts) uint64 {
		return func(r *DayCounts) uint64 { return r.Counts[v] }
	}
	return []column[DayCounts]{
		col("scope", "String", func(r *DayCounts) string { return r.Scope }),
		col("day", "Date", func(r *DayCounts) time.Time { return r.Day }),
		col("version", "UInt64", func(r *DayCounts) uint64 { return r.Version }),
		col("unbuilt", "UInt64", of(divergence.Unbuilt)),
		col("single", "UInt64", of(divergence.Single)),
		col("reproduced", "UInt64", of(divergence.Reproduced)),
		col("diverged", "UInt64", of(divergence.Diverged)),
	}
}

func builderColumns() []column[BuilderStats] {
	return []column[BuilderStats]{
		col("builder", "UInt32", func(r *BuilderStats) uint32 { return r.Builder }),
		col("version", "UInt64", func(r *BuilderStats) uint64 { return r.Version }),
		col("attestations", "UInt64", func(r *BuilderStats) uint64 { return r.Attestations }),
		col("observations", "UInt64", func(r *BuilderStats) uint64 { return r.Observations }),
		col("last_seen", "DateTime64(3, 'UTC')", func(r *BuilderStats) time.Time { return r.LastSeen }),
	}
}

func setColumns() []column[Set] {
	return []column[Set]{
		col("name", "String", func(r *Set) string { return r.Name }),
		col("log_index", "UInt64", func(r *Set) uint64 { return r.Index }),
		col("revision", "String", func(r *Set) string { return r.Revision }),
		col("ecosystem", "LowCardinality(String)", func(r *Set) string { return r.Ecosystem }),
		col("members", "UInt64", func(r *Set) uint64 { return r.Members }),
		col("received_at", "DateTime64(3, 'UTC')", func(r *Set) time.Time { return r.ReceivedAt }),
	}
}

func memberColumns() []column[Member] {
	return []column[Member]{
		col("output", "UInt32", func(r *Member) uint32 { return r.Output }),
		col("set", "LowCardinality(String)", func(r *Member) string { return r.Set }),
		col("since", "UInt64", func(r *Member) uint64 { return r.Since }),
		col("until", "UInt64", func(r *Member) uint64 { return r.Until }),
		col("written", "UInt64", func(r *Member) uint64 {
			if r.Until == Newest {
				return r.Since
			}
			return r.Until
		}),
		col("name", "LowCardinality(String)", func(r *Member) string { return r.Name }),
		col("attribute", "String", func(r *Member) string { return r.Attribute }),
		col("package_version", "String", func(r *Member) string { return r.Version }),
		col("system", "LowCardinality(String)", func(r *Member) string { return r.System }),
		col("maintainers", "Array(LowCardinality(String))", func(r *Member) []string { return r.Maintainers }),
		col("inputs", "Array(UInt32)", func(r *Member) []uint32 { return r.Inputs }),
	}
}
