package dashboard

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"repronet/internal/wire"
)

// A ProblemKind is documented on /docs/problems, to which the type of every
// problem document points.
type ProblemKind struct {
	Kind   string // fragment of the page
	Status int    // of HTTP
	Means  string
	Do     string
}

// ProblemKinds lists all kinds of problems that this network's API answers
// with.
func ProblemKinds() []ProblemKind {
	return []ProblemKind{
		{
			"malformed", http.StatusBadRequest,
			"The request, the bundle or the statement in it is not written as its format says. The detail names the place.",
			"Correct what the detail names. The same bytes will be refused again; a reporter of the current version does not write them.",
		},
		{
			"clock", http.StatusBadRequest,
			"The statement's times are in the future, or so old that the builder's clock must be wrong.",
			"Set the clock of the machine (for example with chrony or systemd-timesyncd), then build and attest again.",
		},
		{
			"invalid-parameter", http.StatusUnprocessableEntity,
			"A parameter of the URL has a value that it cannot have, or is not known at all.",
			"Compare the URL with the parameters that /docs/api lists.",
		},
		{
			"not-enrolled", http.StatusForbidden,
			"The signature is by a key that is not enrolled at this aggregator.",
			"Ask to be enrolled with “repronet-reporter enrol”. What waits on your machine is kept until then.",
		},
		{
			"key-not-valid", http.StatusForbidden,
			"The key was enrolled, but it was revoked, or the time for which it was enrolled is over.",
			"Make a new key with “repronet-reporter init” in another directory, and ask with “repronet-reporter enrol”. A key that is still valid is replaced with “repronet-reporter rotate”.",
		},
		{
			"refused", http.StatusForbidden,
			"The operator of this aggregator does not want this builder. The detail has the reason.",
			"Talk to the operator: a refusal can be taken back.",
		},
		{
			"too-many-keys", http.StatusForbidden,
			"The operator has as many keys as can be enrolled without a person's decision.",
			"Ask the aggregator's operator to revoke keys that are not in use, or to enrol this one.",
		},
		{
			"bad-signature", http.StatusForbidden,
			"The signature does not fit the payload: the bundle was changed on its way, or signed by another key than it names.",
			"Sign again. If it happens again, look for whatever rewrites requests between you and the aggregator.",
		},
		{
			"not-found", http.StatusNotFound,
			"Nothing is known under that name, or there is no such address.",
			"Check the spelling: names are exact. The search box finds parts of names.",
		},
		{
			"method-not-allowed", http.StatusMethodNotAllowed,
			"The address exists, but not for the method of this request.",
			"Read with GET. Submissions are POSTed to " + wire.SubmitPath + ".",
		},
		{
			"conflict", http.StatusConflict,
			"The request contradicts what the ledger holds: a builder belongs to one operator for ever.",
			"Make a new key for another operator.",
		},
		{
			"too-slow", http.StatusRequestTimeout,
			"The request did not arrive within the time that the server waits for one.",
			"Send fewer bundles in one request; a reporter sends the rest again by itself.",
		},
		{
			"too-large", http.StatusRequestEntityTooLarge,
			"A request, a bundle or a statement is over the limits of the protocol.",
			"Send fewer bundles in one request, and fewer builds in one statement.",
		},
		{
			"media-type", http.StatusUnsupportedMediaType,
			"The Content-Type or Content-Encoding is not one that submissions come in.",
			"Send one bundle as " + wire.BundleType + ", or several as " + wire.LinesType + ", plain or compressed with gzip or zstd.",
		},
		{
			"slow-down", http.StatusTooManyRequests,
			"Many requests to be enrolled came from your address, or much evidence by keys that nobody knows; how much of that is taken is bounded.",
			"Ask again later. For evidence, ask the operator to have the project's keys imported.",
		},
		{
			"internal", http.StatusInternalServerError,
			"Something broke in the server.",
			"Try again later; tell the operator if it stays.",
		},
		{
			"try-later", http.StatusServiceUnavailable,
			"The server is starting, overloaded, or waits for its disk.",
			"Send the same again after the time in Retry-After. Nothing was lost: what was not acknowledged was not taken.",
		},
	}
}

// problem is a problem document as huma answers with it.
type problem struct {
	wire.Problem
}

func newProblem(err error) *problem {
	status, kind, sentence := explain(err)
	return &problem{*wire.NewProblem(status, kind, sentence)}
}

// GetStatus makes it a huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

func (p *problem) Error() string { return p.Problem.Error() }

// ContentType is what RFC 9457 registers.
func (*problem) ContentType(string) string { return "application/problem+json" }

// problems makes huma's own errors say in a sentence what is wrong, and link to
// its explanation.
func problems(ctx huma.Context, _ string, body any) (any, error) {
	switch p := body.(type) {
	case *huma.ErrorModel:
		details := make([]string, len(p.Errors))
		for i, e := range p.Errors {
			details[i] = e.Message
			if _, name, ok := strings.Cut(e.Location, "."); ok {
				details[i] = "Parameter " + name + ": " + e.Message
			}
		}
		kind, detail := "invalid-parameter", strings.Join(details, ". ")+"."
		if len(details) == 0 {
			kind, detail = kindOf(p.Status), p.Detail
		}
		ctx.SetHeader("ETag", "")
		ctx.SetHeader("Cache-Control", "no-store")
		return &problem{*wire.NewProblem(p.Status, kind, detail)}, nil
	case *problem:
		ctx.SetHeader("ETag", "")
		ctx.SetHeader("Cache-Control", "no-store")
	}
	return body, nil
}

// kindOf finds the kind of a problem of which only the status is known.
func kindOf(status int) string {
	kinds := ProblemKinds()
	if i := slices.IndexFunc(kinds, func(k ProblemKind) bool { return k.Status == status }); i >= 0 {
		return kinds[i].Kind
	}
	return "invalid-parameter"
}

// writeProblem answers with a problem outside huma.
func writeProblem(c *gin.Context, err error) {
	p := newProblem(err)
	body, _ := json.Marshal(p.Problem) // strings and a number cannot fail
	c.Header("Cache-Control", "no-store")
	c.Data(p.Status, "application/problem+json", body)
}
