package attestation

import "time"

// Identifiers of the formats, fixed by in-toto and by docs/formats.md.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	// PayloadType is the media type that the DSSE envelope binds to the payload.
	PayloadType = "application/vnd.in-toto+json"

	Rebuild     PredicateType = "https://repronet.dev/rebuild/v1"
	BuildFailed PredicateType = "https://repronet.dev/build-failed/v1"
	Withdraw    PredicateType = "https://repronet.dev/withdraw/v1"
)

// PredicateType says what kind of claim a statement makes.
type PredicateType string

// DigestKind says what the digests of a statement are the SHA-256 of.
type DigestKind string

// The two kinds: the NAR serialisation of a store path, or a file's bytes.
const (
	NAR  DigestKind = "nar"
	File DigestKind = "file"
)

// Occasion says why a build was made.
type Occasion string

// OccasionBuild is a build that was wanted for its output, OccasionRebuild one
// made on purpose to compare.
const (
	OccasionBuild   Occasion = "build"
	OccasionRebuild Occasion = "rebuild"
)

// A Statement is one builder's claim about builds made in one environment.
type Statement struct {
	Type      PredicateType
	Ecosystem string // "nix", "debian", "go", "generic", …
	// DigestKind is what the subjects' digests are of. For BuildFailed it is
	// File: the digest of the recipe.
	DigestKind DigestKind
	// Subjects are the outputs claimed (or withdrawn), by output key; each key
	// occurs once. For BuildFailed they are the recipes, by build name.
	Subjects []Subject
	// Chain places the statement among the others of one installation. Its
	// zero value is a statement outside any chain (keyless builders).
	Chain Chain
	// Environment holds traits of the machine, by the names of [Traits].
	Environment map[string]string
	// Builds are the builds that made the subjects: each subject belongs to
	// exactly one build. Empty for Withdraw.
	Builds []Build
	// Reason is why the claim is withdrawn, for people; only for Withdraw.
	Reason string
	// Audience are the origins of the ledgers in which the statement counts; nil: of all.
	// Without it anybody can carry a statement to a ledger that does not know that it was
	// withdrawn in the first.
	Audience []string
}

// A Subject is one output and the digest that it had.
type Subject struct {
	Name   string // output key
	Digest Digest
}

// A Chain makes an omission or a second history visible: each statement of a
// stream names the one before it by the SHA-256 of its payload.
type Chain struct {
	Stream   string // random, one per installation; 32 lower-case hex digits
	Sequence uint64 // 0, 1, 2, … within the stream
	Previous Digest // of the payload Sequence-1; zero for Sequence 0
	// Skipped are payloads of this stream that an aggregator refused, so that
	// their absence is explained by the builder itself.
	Skipped []Digest
}

// A Build is one execution of a recipe.
type Build struct {
	Name     string    // the recipe, pinned by hash or exact version
	Outputs  []int     // indices into the statement's subjects
	Started  time.Time // zero where it was not noted
	Finished time.Time
	Occasion Occasion
	// InputsDigest is the SHA-256 over the sorted "path digest\n" lines of the
	// full input closure without content-addressed paths; zero where unknown.
	InputsDigest Digest
	// Failure says how a build failed, as a sentence without names of the
	// machine; only in BuildFailed.
	Failure string
}

// Limits of one statement. They bound the work that one claim can cause; a
// ledger entry's size (ledger.MaxEntrySize) is usually reached first.
const (
	MaxSubjects    = 4096
	MaxNameLength  = 512
	MaxTraitLength = 128
	MaxTextLength  = 512 // of a reason or failure
	MaxSkipped     = 64
	MaxAudience    = 16
	MaxOrigin      = 255     // of the origin of a ledger
	MaxPayloadSize = 2 << 20 // bytes of the encoded statement
)

// Traits are the names an environment may have: an allow-list, so that no user,
// host or path name leaves a machine by accident.
func Traits() []string {
	return []string{
		"buildDir", "compiler", "cores", "cpu", "filesystem", "go", "kernel", "locale",
		"nix", "os", "sandbox", "system", "trimpath", "tz", "umask",
	}
}
