package admin

import (
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/pkgset"
	"repronet.dev/signing"
)

// The calls. Each change is durable in the ledger when its call returns.
const (
	// Attach stores its input stream, which an entry is going to name by its SHA-256.
	Attach Call[None, Attached] = "attach"
	// Enrol writes an enrolment.
	Enrol Call[enrolment.Enrolment, Written] = "builders/enrol"
	// Revoke takes a builder's statements from a ledger index on away.
	Revoke Call[Revocation, Revoked] = "builders/revoke"
	// Builders lists the enrolled builders in the order of their enrolment.
	Builders Call[None, []api.RosterBuilder] = "builders/list"
	// ListPending lists the requests to be enrolled that wait, oldest first.
	ListPending Call[None, []Pending] = "builders/pending"
	// Approve enrols the builder of a request that waits.
	Approve Call[Approval, Approved] = "builders/approve"
	// Reject refuses requests, with a reason that their senders are told.
	Reject Call[Rejection, Rejected] = "builders/reject"
	// Vouch moves all builders of an operator to tier counted.
	Vouch Call[Vouching, Vouched] = "builders/vouch"
	// PublishSet publishes a package set; the input stream is a list as pkgset.Parse reads it.
	PublishSet Call[Set, Published] = "sets/publish"
	// RetireSet publishes a revision of a package set that has no outputs.
	RetireSet Call[Retirement, Published] = "sets/retire"
	// ListSets lists every revision of every package set, in ledger order.
	ListSets Call[None, []SetRevision] = "sets/list"
	// ShowSet tells what a revision of a package set holds.
	ShowSet Call[SetName, SetContents] = "sets/show"
	// DiffSets tells what two revisions of a package set have each of their own.
	DiffSets Call[SetPair, SetDifference] = "sets/diff"
	// Erase deletes an attachment that enrolments name, after an entry that says so.
	Erase Call[Erasure, Written] = "erase"
	// Reindex makes the index anew from the ledger and swaps it in.
	Reindex Call[None, Reindexed] = "reindex"
	// MakeSnapshot writes all data as files.
	MakeSnapshot Call[None, api.Snapshot] = "snapshots/make"
	// Subscribe adds a subscription to changes of verdicts; without Changes, to all kinds but
	// undecided.
	Subscribe Call[Wanted, Subscribed] = "subscriptions/add"
	// ListSubscriptions lists the subscriptions, oldest first.
	ListSubscriptions Call[None, []Subscription] = "subscriptions/list"
	// Unsubscribe removes a subscription.
	Unsubscribe Call[SubscriptionName, Subscription] = "subscriptions/remove"
	// TestSubscription sends something to a subscription now: a test, or, to an address that did
	// not confirm its own, the question once more.
	TestSubscription Call[SubscriptionName, Tested] = "subscriptions/test"
)

// Written is the ledger index of the entry that was written, or of the earlier one that
// says the same.
type Written struct {
	Index uint64 `json:"index"`
}

// Attached names what was stored.
type Attached struct {
	SHA256 attestation.Digest `json:"sha256"`
}

// Revocation says whose statements do not count any more.
type Revocation struct {
	Builder string  `json:"builder"`        // an unambiguous beginning of its ID
	From    *uint64 `json:"from,omitempty"` // first ledger index that does not count; none: from now on
	Reason  string  `json:"reason"`
}

// Revoked is who was revoked.
type Revoked struct {
	Builder  signing.BuilderID `json:"builder"`
	Operator string            `json:"operator"`
	Index    uint64            `json:"index"` // of the entry
	From     uint64            `json:"from"`  // first ledger index that does not count
}

// Pending is a request that waits.
type Pending struct {
	Builder       signing.BuilderID `json:"builder"`
	Operator      string            `json:"operator,omitempty"` // wanted
	OperatorKnown bool              `json:"operatorKnown"`      // it has builders already
	Contact       string            `json:"contact,omitempty"`
	Identity      string            `json:"identity,omitempty"` // of Sigstore, checked
	Created       time.Time         `json:"created"`            // by the sender's clock
	Received      time.Time         `json:"received"`
}

// Approval is the decision to enrol a builder.
type Approval struct {
	Builder  string         `json:"builder"`            // an unambiguous beginning of its ID
	Operator string         `json:"operator,omitempty"` // in place of the wanted one
	Tier     enrolment.Tier `json:"tier,omitempty"`     // counted if empty
}

// Approved is who was enrolled.
type Approved struct {
	Builder  signing.BuilderID `json:"builder"`
	Operator string            `json:"operator"`
	Tier     enrolment.Tier    `json:"tier"`
	Index    uint64            `json:"index"` // of the enrolment
}

// Rejection is the decision to refuse one request, or all that came before a time.
type Rejection struct {
	Builder string    `json:"builder,omitempty"` // an unambiguous beginning of its ID
	Before  time.Time `json:"before,omitzero"`   // in place of Builder
	Reason  string    `json:"reason"`
}

// Rejected is whose requests were refused.
type Rejected struct {
	Builders []signing.BuilderID `json:"builders"`
	Reason   string              `json:"reason"`
}

// Vouching names an operator, by itself or by an unambiguous beginning of the ID of one
// of its builders.
type Vouching struct {
	Name string `json:"name"`
}

// Vouched is who counts from now on.
type Vouched struct {
	Operator string              `json:"operator"`
	Moved    []signing.BuilderID `json:"moved"`
}

// Set names a revision of a package set that is to be published.
type Set struct {
	Name      string `json:"name"`
	Revision  string `json:"revision"`
	Ecosystem string `json:"ecosystem"`
	Replace   bool   `json:"replace,omitempty"` // the revision may have had another content
	Shrink    bool   `json:"shrink,omitempty"`  // the set may lose more than half of its outputs
}

// Published is what became of a package set.
type Published struct {
	SetRevision
	Known  bool `json:"known"`  // the set was like that already, and nothing was written
	Lines  int  `json:"lines"`  // of the list
	Passed int  `json:"passed"` // lines that name nothing: empty ones and comments
	Failed int  `json:"failed"` // lines of nix-eval-jobs with an error in place of outputs
	Taken  int  `json:"taken"`  // lines, or members of a JSON document, that name outputs
	Fixed  int  `json:"fixed"`  // outputs whose hash their recipe fixes, which are not counted
	Before int  `json:"before"` // outputs of the revision before
	// Skipped are the lines that could not be read; Lacks says what nix-eval-jobs was
	// not asked for.
	Skipped pkgset.Skipped `json:"skipped"`
	Lacks   []string       `json:"lacks,omitempty"`
}

// Retirement names a package set that is to have no outputs any more.
type Retirement struct {
	Name     string `json:"name"`
	Revision string `json:"revision"` // what the empty revision is called
}

// SetRevision is a package set at an entry of the ledger.
type SetRevision struct {
	Index     uint64             `json:"index"` // of the ledger entry
	Name      string             `json:"name"`
	Revision  string             `json:"revision"`
	Ecosystem string             `json:"ecosystem"`
	Outputs   int                `json:"outputs"` // that count
	SHA256    attestation.Digest `json:"sha256"`  // of the attachment with the members
	Published time.Time          `json:"published,omitzero"`
	// Replaces is the ledger index of the entry that published the same revision of the
	// set with another content.
	Replaces *uint64 `json:"replaces,omitempty"`
	// Current tells that no later entry is about the set.
	Current bool `json:"current"`
}

// SetName names a package set at a revision; the newest if the revision is empty.
type SetName struct {
	Name     string `json:"name"`
	Revision string `json:"revision,omitempty"`
}

// SetContents is a revision with its members.
type SetContents struct {
	SetRevision
	Members []pkgset.Member `json:"members"` // sorted by key
}

// SetPair names two revisions of a package set. If To is empty it is the newest, and if
// From is empty the one before To.
type SetPair struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// SetDifference is what two revisions have each of their own.
type SetDifference struct {
	From    SetRevision     `json:"from"`
	To      SetRevision     `json:"to"`
	Added   []pkgset.Member `json:"added"`   // only in To
	Removed []pkgset.Member `json:"removed"` // only in From
	Kept    int             `json:"kept"`
}

// Erasure names an attachment that is to be deleted.
type Erasure struct {
	Attachment attestation.Digest `json:"attachment"`
	Reason     string             `json:"reason"`
}

// Reindexed tells from how many entries the index was made.
type Reindexed struct {
	Entries uint64 `json:"entries"`
}
