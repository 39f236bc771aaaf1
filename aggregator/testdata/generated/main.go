// Command main calls every operation of an aggregator by a client that a generator
// made from the aggregator's own OpenAPI document. The test beside it writes that
// client, compiles this, and watches what is answered.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"generated/client"
)

// inputs are what the test has put into the ledger, or signed.
type inputs struct {
	URL, Set, Build, Output, Digest, Builder, Bundle, Attachment string
	Lines, Evidence, Manifest, Listed, ListedDigest              string
	Snapshot                                                     int64
	Enrolment                                                    json.RawMessage
}

func main() {
	var in inputs
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		fail("inputs", err)
	}
	c, err := client.NewClientWithResponses(in.URL)
	if err != nil {
		fail("client", err)
	}
	read(c, in)
	files(c, in)
	write(c, in)
}

func fail(operation string, reason any) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", operation, reason)
	os.Exit(1)
}

// parsed is an answer as the client makes a value of it.
type parsed interface{ StatusCode() int }

func expect(operation string, answer parsed, err error, value bool) {
	switch {
	case err != nil:
		fail(operation, err)
	case answer.StatusCode()/100 != 2:
		fail(operation, answer.StatusCode())
	case !value:
		fail(operation, "the client made no value of the answer")
	}
}

func raw(operation string, answer *http.Response, err error) {
	if err != nil {
		fail(operation, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || len(body) == 0 {
		fail(operation, fmt.Sprint(answer.Status, " ", err, " ", len(body), " bytes"))
	}
}

func read(c *client.ClientWithResponses, in inputs) {
	ctx := context.Background()
	summary, err := c.GetSummaryWithResponse(ctx, &client.GetSummaryParams{Set: &in.Set})
	expect("summary", summary, err, err == nil && summary.JSON200 != nil && summary.JSON200.Outputs > 0)
	history, err := c.GetHistoryWithResponse(ctx, &client.GetHistoryParams{})
	expect("history", history, err, err == nil && history.JSON200 != nil && len(*history.JSON200) > 0)
	sets, err := c.ListSetsWithResponse(ctx)
	expect("sets", sets, err, err == nil && sets.JSON200 != nil && len(*sets.JSON200) > 0)
	build, err := c.GetBuildWithResponse(ctx, &client.GetBuildParams{Name: in.Build})
	expect("build", build, err, err == nil && build.JSON200 != nil && len(build.JSON200.Outputs) > 0)
	output, err := c.GetOutputsWithResponse(ctx, &client.GetOutputsParams{Name: &in.Output})
	expect("output", output, err, err == nil && output.JSON200 != nil)
	if one, err := output.JSON200.AsOutput(); err != nil || one.Key != in.Output || one.Verdict != client.OutputVerdictDiverged {
		fail("output", fmt.Sprint(one, err))
	}
	byDigest, err := c.GetOutputsWithResponse(ctx, &client.GetOutputsParams{Digest: &in.Digest})
	expect("outputs by digest", byDigest, err, err == nil && byDigest.JSON200 != nil)
	limit := int64(2)
	divergences, err := c.ListDivergencesWithResponse(ctx, &client.ListDivergencesParams{Limit: &limit})
	expect("divergences", divergences, err, err == nil && divergences.JSON200 != nil && len(divergences.JSON200.Divergences) == 2)
	recent, err := c.ListChangesWithResponse(ctx, &client.ListChangesParams{Limit: &limit})
	expect("changes", recent, err, err == nil && recent.JSON200 != nil && len(*recent.JSON200) == 2)
	revisions, err := c.ListSetRevisionsWithResponse(ctx, in.Set, &client.ListSetRevisionsParams{})
	expect("revisions of a set", revisions, err, err == nil && revisions.JSON200 != nil && len(*revisions.JSON200) > 0)
	difference, err := c.GetSetDifferenceWithResponse(ctx, in.Set, &client.GetSetDifferenceParams{})
	expect("difference of a revision", difference, err, err == nil && difference.JSON200 != nil)
	excuses, err := c.GetExcusesWithResponse(ctx, &client.GetExcusesParams{From: in.Set + "@", To: in.Set + "@"})
	expect("excuses", excuses, err, err == nil && excuses.JSON200 != nil && excuses.JSON200.Changed == 0)
	packages, err := c.ListPackagesWithResponse(ctx, &client.ListPackagesParams{})
	expect("packages", packages, err, err == nil && packages.JSON200 != nil && len(packages.JSON200.Packages) > 0)
	listed := packages.JSON200.Packages[0]
	described, err := c.GetPackageWithResponse(ctx, listed.Name, &client.GetPackageParams{Ecosystem: &listed.Ecosystem})
	expect("package", described, err, err == nil && described.JSON200 != nil && described.JSON200.Explanation != "")
	maintainers, err := c.ListMaintainersWithResponse(ctx, &client.ListMaintainersParams{})
	expect("maintainers", maintainers, err, err == nil && maintainers.JSON200 != nil && len(maintainers.JSON200.Maintainers) > 0)
	maintainer, err := c.GetMaintainerWithResponse(ctx, maintainers.JSON200.Maintainers[0].Name, &client.GetMaintainerParams{})
	expect("maintainer", maintainer, err, err == nil && maintainer.JSON200 != nil && len(maintainer.JSON200.Sets) > 0)
	suggestions, err := c.ListSuggestionsWithResponse(ctx, &client.ListSuggestionsParams{Set: in.Set, Limit: &limit})
	expect("suggestions", suggestions, err, err == nil && suggestions.JSON200 != nil && suggestions.JSON200.Set == in.Set)
	kept, err := c.SubmitManifestWithBodyWithResponse(ctx, "application/jsonl", strings.NewReader(in.Manifest))
	expect("a manifest", kept, err, err == nil && kept.JSON200 != nil && kept.JSON200.Id != "")
	manifests, err := c.GetDifferencesWithResponse(ctx, &client.GetDifferencesParams{Output: in.Listed})
	expect("where builds differ", manifests, err, err == nil && manifests.JSON200 != nil && len(manifests.JSON200.Manifests) == 1)
	wanted, err := c.ListWantedManifestsWithResponse(ctx, &client.ListWantedManifestsParams{Builder: in.Builder})
	expect("wanted manifests", wanted, err, err == nil && wanted.JSON200 != nil && len(wanted.JSON200.Outputs) > 0)
	handedIn, err := c.GetManifest(ctx, &client.GetManifestParams{Output: in.Listed, Digest: in.ListedDigest, Builder: in.Builder})
	raw("what was handed in", handedIn, err)
	builders, err := c.ListBuildersWithResponse(ctx)
	expect("builders", builders, err, err == nil && builders.JSON200 != nil && len(*builders.JSON200) > 0)
	builder, err := c.GetBuilderWithResponse(ctx, in.Builder)
	expect("builder", builder, err, err == nil && builder.JSON200 != nil && builder.JSON200.PublicKey != "")
	agreement, err := c.ListAgreementWithResponse(ctx)
	expect("agreement", agreement, err, err == nil && agreement.JSON200 != nil && len(agreement.JSON200.Pairs) > 0)
	entry, err := c.GetEntry(ctx, 0)
	raw("entry", entry, err)
	roster, err := c.GetRosterWithResponse(ctx)
	expect("roster", roster, err, err == nil && roster.JSON200 != nil && len(roster.JSON200.Builders) > 0)
	filter, err := c.GetSetFilter(ctx, in.Set)
	raw("filter", filter, err)
	proof, err := c.GetMapProofWithResponse(ctx, &client.GetMapProofParams{Ecosystem: "nix", Name: in.Output})
	expect("map proof", proof, err, err == nil && proof.JSON200 != nil && len(proof.JSON200.Output.Leaves) > 0)
	bucket, err := c.GetMapBucketWithResponse(ctx, "000")
	expect("map bucket", bucket, err, err == nil && bucket.JSON200 != nil && len(bucket.JSON200.Bucket.Leaves) > 0)
	outputs, err := c.GetOutputBucketWithResponse(ctx, "00000")
	expect("bucket", outputs, err, err == nil && outputs.JSON200 != nil)
	keys, err := c.LookUpKeysWithResponse(ctx, []string{in.Output, in.Build, in.Digest, "<none>"})
	expect("keys", keys, err, err == nil && keys.JSON200 != nil && len(keys.JSON200.Keys) == 4 && keys.JSON200.Keys[0].Outputs[0].Verdict == client.FoundOutputVerdictDiverged)
	purl := "pkg:nix/hello"
	byPURL, err := c.GetOutputsWithResponse(ctx, &client.GetOutputsParams{Purl: &purl})
	expect("outputs by package URL", byPURL, err, err == nil && byPURL.JSON200 != nil)
	verdicts, err := c.ExportVerdicts(ctx, &client.ExportVerdictsParams{})
	raw("export of verdicts", verdicts, err)
	changes, err := c.ExportChanges(ctx, &client.ExportChangesParams{})
	raw("export of changes", changes, err)
	snapshots, err := c.ListSnapshotsWithResponse(ctx)
	expect("snapshots", snapshots, err, err == nil && snapshots.JSON200 != nil && len(*snapshots.JSON200) == 1)
	sums, err := c.GetSnapshotFile(ctx, in.Snapshot, "SHA256SUMS")
	raw("file of a snapshot", sums, err)
	const question = "SELECT verdict, count() AS outputs FROM verdicts GROUP BY verdict"
	result, err := c.QuerySqlWithResponse(ctx, &client.QuerySqlParams{Q: question})
	expect("SQL", result, err, err == nil && result.JSON200 != nil && len(result.JSON200.Meta) == 2 && len(result.JSON200.Data) > 1)
	lines := "jsonl"
	posted, err := c.PostSqlWithBody(ctx, &client.PostSqlParams{Format: &lines}, "application/sql", strings.NewReader(question))
	raw("SQL in a body", posted, err)
	missing, err := c.GetSummaryWithResponse(ctx, &client.GetSummaryParams{Set: &in.URL})
	if err != nil || missing.ApplicationproblemJSON404 == nil || !strings.HasSuffix(missing.ApplicationproblemJSON404.Type, "#not-found") {
		fail("summary of no set", err)
	}
}

func files(c *client.ClientWithResponses, in inputs) {
	ctx := context.Background()
	for operation, get := range map[string]func(context.Context, ...client.RequestEditorFn) (*http.Response, error){
		"checkpoint": c.GetCheckpoint, "log key": c.GetLogKey, "OpenAPI": c.GetOpenapi,
	} {
		answer, err := get(ctx)
		raw(operation, answer, err)
	}
	tile, err := c.GetTile(ctx, "0/000.p/1")
	raw("tile", tile, err)
	attachment, err := c.GetAttachment(ctx, in.Attachment)
	raw("attachment", attachment, err)
}

func write(c *client.ClientWithResponses, in inputs) {
	ctx := context.Background()
	var bundle map[string]any
	if err := json.Unmarshal([]byte(in.Bundle), &bundle); err != nil {
		fail("bundle", err)
	}
	one, err := c.SubmitAttestationsWithApplicationVndDevSigstoreBundleV03PlusJSONBodyWithResponse(ctx, bundle)
	expect("attestation", one, err, err == nil && one.JSON200 != nil && one.JSON200.Receipt != nil)
	several, err := c.SubmitAttestationsWithBody(ctx, "application/jsonl", strings.NewReader(in.Lines))
	raw("attestations", several, err)
	evidence, err := c.SubmitEvidenceWithBody(ctx, "application/jsonl", strings.NewReader(in.Evidence))
	raw("evidence", evidence, err)
	asked, err := c.AskEnrolmentWithBodyWithResponse(ctx, "application/json", bytes.NewReader(in.Enrolment))
	expect("asking to be enrolled", asked, err, err == nil && asked.JSON202 != nil && asked.JSON202.State == "pending")
	state, err := c.GetEnrolmentWithResponse(ctx, string(asked.JSON202.Builder))
	expect("enrolment", state, err, err == nil && state.JSON200 != nil && state.JSON200.State == "pending")
	asked, err = c.AskEnrolmentWithBodyWithResponse(ctx, "application/json", strings.NewReader("{}"))
	if err != nil || asked.ApplicationproblemJSON400 == nil {
		fail("asking wrongly", err)
	}
}
