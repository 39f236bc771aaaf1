package snapshot

// Time is in milliseconds since 1970, UTC; 0 where it is not known.
type Time int64

// The rows of the views. A field's tags name its column, say how Parquet writes it
// (github.com/parquet-go/parquet-go) and what it means; the zero value of an optional
// one is NULL. Digests are 64 lower-case hexadecimal digits.

// An Observation is what one entry says of one output in one builder's name.
type Observation struct {
	Ecosystem    string `parquet:"ecosystem,dict" doc:"ecosystem of the output: nix, guix, debian, …"`
	Output       string `parquet:"output,delta" doc:"key of the output"`
	Digest       string `parquet:"digest,delta" doc:"SHA-256 of what the builder got"`
	DigestKind   string `parquet:"digest_kind,dict" doc:"what the digest is of: nar (a store path's serialisation) or file"`
	Builder      string `parquet:"builder,dict" doc:"ID of the builder, see builders"`
	Index        uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that says it"`
	ReceivedAt   Time   `parquet:"received_at,delta,timestamp(millisecond)" doc:"when the ledger received the entry"`
	FinishedAt   Time   `parquet:"finished_at,optional,timestamp(millisecond)" doc:"when the build ended, by the builder's clock; NULL of documents, and where it was not said"`
	Occasion     string `parquet:"occasion,optional,dict" doc:"build (wanted for its output) or rebuild (made to compare); NULL of documents"`
	InputsDigest string `parquet:"inputs_digest,optional,delta" doc:"digest of the build's whole input closure; NULL where the builder did not say"`
	Environment  string `parquet:"environment,optional,dict" doc:"the machine's traits, see environments; NULL of documents"`
	Document     bool   `parquet:"document" doc:"whether a third party's signed document says it, not a statement of rebuild/v1"`
	SignedAt     Time   `parquet:"signed_at,optional,timestamp(millisecond)" doc:"when the document was signed, by its signer's clock; NULL of statements"`
	Ambiguous    bool   `parquet:"ambiguous" doc:"whether the document lists the output with several digests, so that none of them is judged"`
}

// A Withdrawal is a builder's word that an observation of its own does not hold.
type Withdrawal struct {
	Ecosystem  string `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output     string `parquet:"output,delta" doc:"key of the output"`
	Digest     string `parquet:"digest,delta" doc:"the digest that was observed and is taken back"`
	Builder    string `parquet:"builder,dict" doc:"ID of the builder"`
	Index      uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that takes it back"`
	ReceivedAt Time   `parquet:"received_at,delta,timestamp(millisecond)" doc:"when the ledger received the entry"`
}

// An Output is what is compared.
type Output struct {
	Ecosystem  string `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output     string `parquet:"output,delta" doc:"key of the output"`
	Build      string `parquet:"build,optional,delta" doc:"the recipe that made it, as the first claim says that names one; NULL where none does"`
	FirstIndex uint64 `parquet:"first_index,delta" doc:"ledger index of the entry that named the output first"`
	FirstAt    Time   `parquet:"first_at,delta,timestamp(millisecond)" doc:"when the ledger received that entry"`
}

// A Verdict is what the counted operators' positions say of an output.
type Verdict struct {
	Ecosystem  string `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output     string `parquet:"output,delta" doc:"key of the output"`
	Verdict    string `parquet:"verdict,dict" doc:"unbuilt, single, reproduced or diverged, by the positions of counted operators"`
	Shape      string `parquet:"shape,optional,dict" doc:"of a divergence: self, scatter, outlier or split; else NULL"`
	Inputs     string `parquet:"inputs,optional,dict" doc:"of a divergence: whether claims with different digests had the same inputs (same), or none did (differ); NULL where too few claims say"`
	Operators  uint32 `parquet:"operators" doc:"counted operators with a position"`
	Digests    uint32 `parquet:"digests" doc:"different digests in these positions"`
	SinceIndex uint64 `parquet:"since_index,optional" doc:"ledger index of the entry that last changed the verdict; NULL where none did"`
	SinceAt    Time   `parquet:"since_at,optional,timestamp(millisecond)" doc:"when the ledger received that entry"`
	Previous   string `parquet:"previous,optional,dict" doc:"the verdict before; NULL where none changed it"`
}

// A Change is a transition of an output's verdict.
type Change struct {
	Ecosystem  string `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output     string `parquet:"output,delta" doc:"key of the output"`
	Index      uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that changed the verdict"`
	ReceivedAt Time   `parquet:"received_at,delta,timestamp(millisecond)" doc:"when the ledger received the entry"`
	Old        string `parquet:"old_verdict,dict" doc:"the verdict before the entry"`
	New        string `parquet:"new_verdict,dict" doc:"the verdict after it"`
}

// A Builder is an identity that signs.
type Builder struct {
	Builder       string  `parquet:"builder" doc:"ID of the builder"`
	Operator      string  `parquet:"operator,dict" doc:"the party behind it, at the snapshot's ledger size; see operators"`
	Tier          string  `parquet:"tier,dict" doc:"counted (vouched for, moves verdicts) or open (shown, never moves one)"`
	EnrolledIndex uint64  `parquet:"enrolled_index" doc:"ledger index of its first enrolment"`
	Revoked       bool    `parquet:"revoked" doc:"whether it was revoked"`
	RevokedFrom   *uint64 `parquet:"revoked_from,optional" doc:"what it says at this ledger index and later does not count; NULL unless revoked"`
	RevokedIndex  *uint64 `parquet:"revoked_index,optional" doc:"ledger index of the revocation; NULL unless revoked"`
	Replaces      string  `parquet:"replaces,optional" doc:"the builder whose key endorsed this one; NULL where none did"`
	Attestations  uint64  `parquet:"attestations" doc:"statements and documents in its name"`
	Observations  uint64  `parquet:"observations" doc:"outputs named in them"`
	LastSeen      Time    `parquet:"last_seen,optional,timestamp(millisecond)" doc:"when the ledger received the newest of them; NULL where there is none"`
}

// An Operator is the party behind builders.
type Operator struct {
	Operator     string `parquet:"operator" doc:"name of the operator; independence is counted in operators"`
	Builders     uint32 `parquet:"builders" doc:"builders that are enrolled for it"`
	Counted      uint32 `parquet:"counted" doc:"those among them of tier counted that were not revoked"`
	FirstIndex   uint64 `parquet:"first_index" doc:"ledger index of the first enrolment of one of them"`
	Attestations uint64 `parquet:"attestations" doc:"statements and documents in their names"`
	Observations uint64 `parquet:"observations" doc:"outputs named in them"`
}

// A Set is a revision of a package set.
type Set struct {
	Set        string `parquet:"set_name,dict" doc:"name of the package set"`
	Revision   string `parquet:"revision" doc:"name of the revision"`
	Index      uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that published it"`
	ReceivedAt Time   `parquet:"received_at,delta,timestamp(millisecond)" doc:"when the ledger received the entry"`
	Ecosystem  string `parquet:"ecosystem,dict" doc:"ecosystem of its outputs"`
	Members    uint64 `parquet:"members" doc:"outputs that count; fixed-output ones are not among them"`
	Attachment string `parquet:"attachment" doc:"SHA-256 of the attachment with the members"`
	Newest     bool   `parquet:"newest" doc:"whether it is the set's newest revision"`
}

// A Member is one output of a revision of a package set.
type Member struct {
	Set         string   `parquet:"set_name,dict" doc:"name of the package set"`
	Revision    string   `parquet:"revision,dict" doc:"name of the revision"`
	Index       uint64   `parquet:"ledger_index,delta" doc:"ledger index of the entry that published the revision"`
	Ecosystem   string   `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output      string   `parquet:"output,delta" doc:"key of the output"`
	Build       string   `parquet:"build,optional,delta" doc:"the recipe; NULL where the set does not say"`
	Attribute   string   `parquet:"attribute,optional,delta" doc:"name in the set; NULL where it does not say"`
	Version     string   `parquet:"version,optional,dict" doc:"version of the package; NULL where the set does not say"`
	System      string   `parquet:"system,optional,dict" doc:"system that it is for; NULL where the set does not say"`
	Maintainers []string `parquet:"maintainers,list" doc:"maintainers, sorted"`
	Fixed       bool     `parquet:"fixed" doc:"whether its recipe fixes its hash, so that it is in no rate"`
}

// An Edge says that one output of a package set was an input of another.
type Edge struct {
	Set       string `parquet:"set_name,dict" doc:"name of the package set"`
	Revision  string `parquet:"revision,dict" doc:"name of the revision"`
	Index     uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that published the revision"`
	Ecosystem string `parquet:"ecosystem,dict" doc:"ecosystem of the output"`
	Output    string `parquet:"output,delta" doc:"key of the output that was built"`
	Input     string `parquet:"input,delta" doc:"what its build used directly: the key of an output of the set, else build^output, as Nix writes it"`
}

// An Environment is a combination of traits of a machine.
type Environment struct {
	Environment string `parquet:"environment" doc:"the first 40 hexadecimal digits of the SHA-256 of its traits as one line of JSON, sorted by name"`
	FirstIndex  uint64 `parquet:"first_index" doc:"ledger index of the first statement of it"`
	Statements  uint64 `parquet:"statements" doc:"statements of it"`
	BuildDir    string `parquet:"build_dir,optional,dict" doc:"whether builds have their usual directory"`
	Compiler    string `parquet:"compiler,optional,dict" doc:"compiler and its version"`
	Cores       string `parquet:"cores,optional,dict" doc:"processors that a build may use"`
	CPU         string `parquet:"cpu,optional,dict" doc:"model of the processor"`
	Filesystem  string `parquet:"filesystem,optional,dict" doc:"file system of the builds"`
	Go          string `parquet:"go,optional,dict" doc:"version of Go"`
	Kernel      string `parquet:"kernel,optional,dict" doc:"version of the kernel"`
	Locale      string `parquet:"locale,optional,dict" doc:"locale"`
	Nix         string `parquet:"nix,optional,dict" doc:"version of Nix"`
	OS          string `parquet:"os,optional,dict" doc:"operating system"`
	Sandbox     string `parquet:"sandbox,optional,dict" doc:"whether builds are in a sandbox"`
	System      string `parquet:"system,optional,dict" doc:"system that builds are for, as Nix names it"`
	Trimpath    string `parquet:"trimpath,optional,dict" doc:"whether Go leaves paths out"`
	TZ          string `parquet:"tz,optional,dict" doc:"time zone, as its distance from UTC"`
	Umask       string `parquet:"umask,optional,dict" doc:"umask"`
}

// A Failure is a builder's word that a build failed.
type Failure struct {
	Ecosystem   string `parquet:"ecosystem,dict" doc:"ecosystem of the build"`
	Build       string `parquet:"build,delta" doc:"the recipe that failed"`
	Builder     string `parquet:"builder,dict" doc:"ID of the builder"`
	Index       uint64 `parquet:"ledger_index,delta" doc:"ledger index of the entry that says it"`
	ReceivedAt  Time   `parquet:"received_at,delta,timestamp(millisecond)" doc:"when the ledger received the entry"`
	FinishedAt  Time   `parquet:"finished_at,optional,timestamp(millisecond)" doc:"when the build failed, by the builder's clock"`
	Occasion    string `parquet:"occasion,optional,dict" doc:"build or rebuild"`
	Environment string `parquet:"environment,optional,dict" doc:"the machine's traits, see environments"`
	Reason      string `parquet:"reason,optional" doc:"how it failed, in the builder's words"`
}
