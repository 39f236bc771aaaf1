package api

import (
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
)

// A ProblemKind says what is wrong with a request. It decides the status of HTTP.
type ProblemKind string

// The kinds of problems; [ProblemKinds] says what each means.
const (
	ProblemMalformed        ProblemKind = "malformed"
	ProblemClock            ProblemKind = "clock"
	ProblemInvalidParameter ProblemKind = "invalid-parameter"
	ProblemQueryRefused     ProblemKind = "query-refused"
	ProblemQueryTooCostly   ProblemKind = "query-too-costly"
	ProblemNotEnrolled      ProblemKind = "not-enrolled"
	ProblemKeyNotValid      ProblemKind = "key-not-valid"
	ProblemRefused          ProblemKind = "refused"
	ProblemTooManyKeys      ProblemKind = "too-many-keys"
	ProblemBadSignature     ProblemKind = "bad-signature"
	ProblemNotFound         ProblemKind = "not-found"
	ProblemMethodNotAllowed ProblemKind = "method-not-allowed"
	ProblemConflict         ProblemKind = "conflict"
	ProblemOtherSize        ProblemKind = "other-size"
	ProblemNotWanted        ProblemKind = "not-wanted"
	ProblemErased           ProblemKind = "erased"
	ProblemTooSlow          ProblemKind = "too-slow"
	ProblemTooLarge         ProblemKind = "too-large"
	ProblemMediaType        ProblemKind = "media-type"
	ProblemSlowDown         ProblemKind = "slow-down"
	ProblemOverBudget       ProblemKind = "over-budget"
	ProblemInternal         ProblemKind = "internal"
	ProblemTryLater         ProblemKind = "try-later"
)

// A ProblemExplanation says what a kind of problem means, and what to do about it.
type ProblemExplanation struct {
	Kind   ProblemKind
	Status int // of HTTP
	Means  string
	Do     string
}

// ProblemKinds lists all kinds of problems that an aggregator answers with, in the
// order in which the page at [ProblemsPath] explains them.
func ProblemKinds() []ProblemExplanation { return slices.Clone(problemKinds) }

var problemKinds = []ProblemExplanation{
	{
		ProblemMalformed, http.StatusBadRequest,
		"The request, the bundle or the statement in it is not written as its format says. The detail names the place.",
		"Correct what the detail names. The same bytes will be refused again; a reporter of the current version does not write them.",
	},
	{
		ProblemClock, http.StatusBadRequest,
		"The statement's times are in the future, or so old that the builder's clock must be wrong.",
		"Compare both clocks with the time, and set the wrong one right (for example with chrony or systemd-timesyncd). A reporter keeps the statement and sends it again; it is taken as soon as both clocks agree with its times.",
	},
	{
		ProblemInvalidParameter, http.StatusUnprocessableEntity,
		"A parameter of the URL has a value that it cannot have, or is not known at all.",
		"Compare the URL with the parameters that /docs/api lists.",
	},
	{
		ProblemQueryRefused, http.StatusUnprocessableEntity,
		"The query is not one SELECT over the documented views with functions that compute, or the engine cannot make sense of it. The detail names the place.",
		"Compare it with the views and columns that /data lists; /data/questions has queries to begin from.",
	},
	{
		ProblemQueryTooCostly, http.StatusUnprocessableEntity,
		"The query took longer, needed more memory, or has a larger result than a question in SQL may.",
		"Ask for less: fewer rows, fewer groups, a LIMIT. A snapshot's Parquet files are there for whoever wants all of it.",
	},
	{
		ProblemNotEnrolled, http.StatusForbidden,
		"The signature is by a key that is not enrolled at this aggregator.",
		"Ask to be enrolled with “repronet-reporter enrol”. What waits on your machine is kept until then.",
	},
	{
		ProblemKeyNotValid, http.StatusForbidden,
		"The key was enrolled, but it was revoked, or the time for which it was enrolled is over.",
		"Make a new key with “repronet-reporter init” in another directory, and ask with “repronet-reporter enrol”. A key that is still valid is replaced with “repronet-reporter rotate”.",
	},
	{
		ProblemRefused, http.StatusForbidden,
		"The operator of this aggregator does not want this builder. The detail has the reason.",
		"Talk to the operator: a refusal can be taken back.",
	},
	{
		ProblemTooManyKeys, http.StatusForbidden,
		"The operator has as many keys as can be enrolled without a person's decision.",
		"Ask the aggregator's operator to revoke keys that are not in use, or to enrol this one.",
	},
	{
		ProblemBadSignature, http.StatusForbidden,
		"The signature does not fit the payload: the bundle was changed on its way, or signed by another key than it names.",
		"Sign again. If it happens again, look for whatever rewrites requests between you and the aggregator.",
	},
	{
		ProblemNotFound, http.StatusNotFound,
		"Nothing is known under that name, or there is no such address.",
		"Check the spelling: names are exact. The search box finds parts of names.",
	},
	{
		ProblemMethodNotAllowed, http.StatusMethodNotAllowed,
		"The address exists, but not for the method of this request.",
		"Read with GET. Submissions are POSTed to " + SubmitPath + ".",
	},
	{
		ProblemConflict, http.StatusConflict,
		"The request contradicts what the ledger holds: a builder belongs to one operator for ever.",
		"Make a new key for another operator.",
	},
	{
		ProblemOtherSize, http.StatusConflict,
		"The query asks for an export of another number of ledger entries than the index covers now.",
		"Begin again: the header Repronet-Indexed of each export says how many entries it covers.",
	},
	{
		ProblemNotWanted, http.StatusConflict,
		"A manifest is taken of an output that diverges, from a builder whose claim of the same digest counts, and some of each digest are enough.",
		"Submit what was built first. " + WantedManifestsPath + " says of which outputs a builder's manifest is wanted; a reporter asks by itself.",
	},
	{
		ProblemErased, http.StatusGone,
		"The attachment was erased, and an entry of the ledger says so.",
		"Nothing: what the ledger counts no longer depends on it.",
	},
	{
		ProblemTooSlow, http.StatusRequestTimeout,
		"The request did not arrive within the time that the server waits for one.",
		"Send fewer bundles in one request; a reporter sends the rest again by itself.",
	},
	{
		ProblemTooLarge, http.StatusRequestEntityTooLarge,
		"A request, a bundle or a statement is over the limits of the protocol.",
		"Send fewer bundles or keys in one request, and fewer builds in one statement.",
	},
	{
		ProblemMediaType, http.StatusUnsupportedMediaType,
		"The Content-Type or Content-Encoding is not one that such a request comes in.",
		"Send one bundle as " + BundleType + ", or several as " + LinesType + "; keys to look up as " + jsonType + " or " + TextType + "; plain or compressed with gzip or zstd.",
	},
	{
		ProblemSlowDown, http.StatusTooManyRequests,
		"Many requests to be enrolled or many keys to look up came from your address, or many questions at once that take long to answer; how many are taken is bounded.",
		"Ask again after the time in Retry-After, and fewer questions at a time.",
	},
	{
		ProblemOverBudget, http.StatusTooManyRequests,
		"The ledger keeps what it takes for ever, so how many bytes it takes in a day is bounded: of a builder, of an operator, of all that nobody vouched for, and of documents by keys that are not enrolled. Of manifests, all together are bounded.",
		"Keep it, and send it again in some hours; a reporter does so by itself. For more, ask the operator of the aggregator to vouch for you, or to have the project's keys imported.",
	},
	{
		ProblemInternal, http.StatusInternalServerError,
		"Something broke in the server.",
		"Try again later; tell the operator if it stays.",
	},
	{
		ProblemTryLater, http.StatusServiceUnavailable,
		"The server is starting, overloaded, or waits for its disk.",
		"Send the same again after the time in Retry-After. Nothing was lost: what was not acknowledged was not taken.",
	},
}

// explanation is that of a kind; of an unknown one, ProblemInternal's.
func (k ProblemKind) explanation() ProblemExplanation {
	if i := slices.IndexFunc(problemKinds, func(e ProblemExplanation) bool { return e.Kind == k }); i >= 0 {
		return problemKinds[i]
	}
	return ProblemInternal.explanation()
}

// A Problem is a problem document (RFC 9457), and an error.
type Problem struct {
	Type   string `json:"type" format:"uri-reference" doc:"Where the kind of problem is explained."`
	Title  string `json:"title" doc:"The status in words."`
	Status int    `json:"status" doc:"Of HTTP."`
	Detail string `json:"detail" doc:"A sentence about the case at hand: what was wrong, and what to do."`
}

// NewProblem returns a problem with the sentence that tells the sender what was
// wrong, where, and what to do.
func NewProblem(kind ProblemKind, detail string) *Problem {
	status := kind.explanation().Status
	return &Problem{Type: ProblemsPath + "#" + string(kind), Title: http.StatusText(status), Status: status, Detail: detail}
}

// Kind is the problem's kind, "" of a document that is no aggregator's.
func (p *Problem) Kind() ProblemKind {
	_, kind, _ := strings.Cut(p.Type, ProblemsPath+"#")
	return ProblemKind(kind)
}

func (p *Problem) Error() string { return fmt.Sprintf("%s (%d): %s", p.Title, p.Status, p.Detail) }

// Is makes a problem of status 404 an [fs.ErrNotExist] for errors.Is.
func (p *Problem) Is(target error) bool {
	return target == fs.ErrNotExist && p.Status == http.StatusNotFound
}

// Held tells that what refused the bundle is not in it: the builder is not enrolled, or
// its key not valid now, one of the two clocks is wrong, or the day's budget is used up.
// The sender keeps the bundle and sends it again.
func (p *Problem) Held() bool {
	return p.Status == http.StatusForbidden || p.Kind() == ProblemClock || p.Kind() == ProblemOverBudget
}

// Permanent tells that sending the same bundle again cannot help, or not before a person
// has done something. A problem that is [Problem.Held] of a clock is not permanent.
func (p *Problem) Permanent() bool {
	if p.Kind() == ProblemClock {
		return false // either side's may be wrong
	}
	return p.Status >= 400 && p.Status < 500 && p.Status != http.StatusRequestTimeout && p.Status != http.StatusTooManyRequests
}
