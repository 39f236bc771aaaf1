package http

import (
	"net/http"
	"reflect"

	"repronet.dev/api"
)

// What the OpenAPI document says of the operations that are not huma's.

var (
	text   = reflect.TypeFor[string]()
	number = reflect.TypeFor[uint64]()
	object = reflect.TypeFor[map[string]any]()
)

// An enrolmentRequest is how package enrolment/request writes a document.
type enrolmentRequest struct {
	Request     map[string]any `json:"request" doc:"A Sigstore bundle over the in-toto statement https://repronet.dev/enrolment/v1, by the key that wants to be enrolled."`
	Endorsement map[string]any `json:"endorsement,omitempty" doc:"The same statement by the key that is replaced."`
	Identity    map[string]any `json:"identity,omitempty" doc:"The same statement by a Sigstore identity."`
}

var aboutEntry = description{
	summary: "The body of a ledger entry, byte for byte: for an attestation, its Sigstore bundle",
	params:  []param{{name: "index", doc: "The ledger index, counted from 0.", of: number}},
	answers: []answer{{
		http.StatusOK, "The evidence",
		[]content{{api.BundleType, object}, {"application/json", reflect.TypeFor[any]()}},
		map[string]string{api.KindHeader: "The entry's kind.", "Last-Modified": "When the ledger received the entry."},
	}},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutRoster = description{
	summary:  "The builders' keys, as the ledger's enrolments make them, with the checkpoint of that ledger",
	answers:  []answer{ok("The roster", content{"application/json", reflect.TypeFor[api.Roster]()})},
	problems: []api.ProblemKind{api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutFilter = description{
	summary:  "Which outputs a package set has, for reporters that tell nobody what they look for",
	params:   []param{{name: "name", doc: "The package set.", of: text}},
	answers:  []answer{ok("The first 12 bytes of each member's output ID, sorted, one after the other", content{media: bytesType})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemTryLater},
}

var aboutPackage = description{
	summary: "A package: a sentence on how it is, its versions by system, newest first, and what diverges",
	doc:     "The next page of versions is that of the same query with next as the cursor.",
	params: []param{
		{name: "name", doc: "The package's name without a version, or a package URL; it may contain slashes, written %2F or as they are.", of: text},
		{name: "ecosystem", doc: "Its ecosystem; without it, the first that has a package of the name.", of: text},
		{name: "limit", doc: "At most so many versions, from 1 to 1,000.", of: number},
		{name: "cursor", doc: "From the page before: next.", of: text},
	},
	answers:  []answer{ok("The package", content{"application/json", reflect.TypeFor[api.Package]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutMaintainer = description{
	summary: "What a maintainer has to look after, as the newest revisions of package sets say: regressions, what else diverges, what waits to be confirmed",
	params: []param{
		{name: "name", doc: "The maintainer, as package sets write it; it may contain slashes, written %2F or as they are.", of: text},
		{name: "limit", doc: "At most so many rows of each kind, from 1 to 1,000.", of: number},
	},
	answers:  []answer{ok("The maintainer", content{"application/json", reflect.TypeFor[api.Maintainer]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutMapProof = description{
	summary: "What the newest map that the ledger commits to says of an output, and of the enrolments, with proof",
	params: []param{
		{name: "ecosystem", doc: "The output's ecosystem, such as nix.", of: text, required: true},
		{name: "name", doc: "The output's key: a store path, or <build>^<output>.", of: text, required: true},
	},
	answers:  []answer{ok("The proofs, and the receipt of the entry with the map's root", content{"application/json", reflect.TypeFor[api.MapProof]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutMapBucket = description{
	summary:  "What the newest map says of all outputs whose IDs begin with a prefix, with proof, padded: who asks does not tell which of them is meant",
	doc:      "White space makes the answer 16 KiB long, or the next power of two. It is never compressed.",
	params:   []param{{name: "prefix", doc: "The first 3 to 5 hexadecimal digits of the outputs' IDs: 12 to 20 bits.", of: text}},
	answers:  []answer{ok("The bucket, and the receipt of the entry with the map's root", content{"application/json", reflect.TypeFor[api.MapBucket]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemTooLarge, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutOutputBucket = description{
	summary:  "All outputs whose IDs begin with a prefix, padded: who asks does not tell which of them is meant",
	doc:      "White space makes the answer 16 KiB long, or the next power of two. It is never compressed. The map's buckets prove what they say.",
	params:   []param{{name: "prefix", doc: "The first 3 to 5 hexadecimal digits of the outputs' IDs: 12 to 20 bits.", of: text}},
	answers:  []answer{ok("The bucket", content{"application/json", reflect.TypeFor[api.OutputBucket]()})},
	problems: []api.ProblemKind{api.ProblemInvalidParameter, api.ProblemTooLarge, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutLookup = description{
	summary: "Look up to 10,000 keys up: digests, outputs, builds, package URLs that name a build",
	doc:     "The answers are in the order of the keys. Each says what is known under its key, that nothing is, or why it can be no key.",
	takes:   []content{{"application/json", reflect.TypeFor[[]string]()}, {media: api.TextType}},
	answers: []answer{{
		http.StatusOK, "For an array a document; for lines one answer a line",
		[]content{{"application/json", reflect.TypeFor[api.Lookups]()}, {api.LinesType, reflect.TypeFor[api.Lookup]()}},
		map[string]string{
			"RateLimit-Policy": "How many keys an address may look up in how many seconds.", "RateLimit": "How many it may look up now.",
			api.IndexedHeader: "Of an answer in lines: how many ledger entries it covers at least.",
		},
	}},
	problems: []api.ProblemKind{
		api.ProblemMalformed, api.ProblemTooSlow, api.ProblemTooLarge, api.ProblemMediaType, api.ProblemSlowDown, api.ProblemTryLater,
	},
}

func aboutExport[T any](summary string) description {
	return description{
		summary: summary + ", as JSON lines in the order of the outputs' IDs",
		doc:     "All of it follows from as many ledger entries as the header " + api.IndexedHeader + " says. An answer that is not complete ends in a broken connection.",
		params:  []param{{name: "size", doc: "Only if the index covers just so many ledger entries.", of: number}},
		answers: []answer{{
			http.StatusOK, "The export",
			[]content{{api.LinesType, reflect.TypeFor[T]()}},
			map[string]string{api.IndexedHeader: "How many ledger entries it is made of."},
		}},
		problems: []api.ProblemKind{api.ProblemInvalidParameter, api.ProblemOtherSize, api.ProblemSlowDown, api.ProblemTryLater},
	}
}

var aboutSnapshots = description{
	summary: "Snapshots: all data as Parquet files, citeable and provable, newest first",
	answers: []answer{ok("What there is", content{"application/json", reflect.TypeFor[[]api.Snapshot]()})},
}

var aboutSnapshotFile = description{
	summary: "A file of a snapshot; SHA256SUMS lists them",
	params: []param{
		{name: "size", doc: "The snapshot: how many ledger entries it follows from.", of: number},
		{name: "path", doc: "The file, as SHA256SUMS names it.", of: text},
	},
	answers:  []answer{ok("The file", content{media: bytesType})},
	problems: []api.ProblemKind{api.ProblemNotFound},
}

var aboutQuery = param{name: "q", doc: "One SELECT over the views that the page /data describes, at most 16 KiB.", of: text, required: true}

// A sqlResult is an api.SQLResult, whose values are of any type.
type sqlResult struct {
	Meta []api.SQLColumn `json:"meta" doc:"The columns."`
	Data [][]any         `json:"data" doc:"The rows: values in the order of the columns."`
	Rows uint64          `json:"rows" doc:"How many rows there are."`
	// Least is what ClickHouse adds where a limit was in force.
	Least uint64 `json:"rows_before_limit_at_least,omitempty" doc:"How many rows there were before a LIMIT, at least."`
}

// aboutSQL describes questions in SQL.
func aboutSQL(more ...param) description {
	answered := []content{{api.SQLJSON.MediaType(), reflect.TypeFor[sqlResult]()}}
	for _, format := range api.SQLFormats()[1:] {
		answered = append(answered, content{media: format.MediaType()})
	}
	return description{
		summary: "The result of a query in SQL over the views of the last snapshot",
		doc: "One SELECT, with common table expressions, joins, unions and subqueries, in ClickHouse's dialect, with functions that compute. " +
			"What it may cost is said in the header " + api.SQLLimitsHeader + ".",
		params: append(more, param{name: "format", doc: "json (the default), csv, jsonl, arrow or parquet.", of: text}),
		answers: []answer{{http.StatusOK, "The result, whole", answered, map[string]string{
			api.IndexedHeader: "Of how many ledger entries the snapshot was made.", api.SnapshotHeader: "The snapshot's name.",
			api.SQLLimitsHeader: "What a query may cost.",
		}}},
		problems: []api.ProblemKind{api.ProblemInvalidParameter, api.ProblemQueryRefused, api.ProblemQueryTooCostly, api.ProblemSlowDown, api.ProblemTryLater},
	}
}

// aboutPostedSQL is aboutSQL for a query in the body of a request.
func aboutPostedSQL() description {
	d := aboutSQL()
	d.summary += ", with the query in the body"
	d.takes = []content{{media: "application/sql"}}
	d.problems = append(d.problems, api.ProblemMalformed, api.ProblemMediaType, api.ProblemTooLarge, api.ProblemTooSlow)
	return d
}

// ofSubmissions are the problems of a request with bundles or documents.
var ofSubmissions = []api.ProblemKind{
	api.ProblemMalformed, api.ProblemClock, api.ProblemNotEnrolled, api.ProblemKeyNotValid, api.ProblemBadSignature,
	api.ProblemTooSlow, api.ProblemTooLarge, api.ProblemMediaType, api.ProblemOverBudget, api.ProblemTryLater,
}

var aboutAttestations = description{
	summary: "Submit a Sigstore bundle, or up to 1,000 of them, one a line, with optional Content-Encoding zstd or gzip",
	takes:   []content{{api.BundleType, object}, {media: api.LinesType}},
	answers: []answer{ok("For one bundle its result; for several one result a line, in order",
		content{"application/json", reflect.TypeFor[api.Result]()}, content{api.LinesType, reflect.TypeFor[api.Result]()})},
	problems: ofSubmissions,
}

var aboutEvidence = description{
	summary:  "Submit up to 1,000 documents of third parties that prove themselves, one a line, with optional Content-Encoding zstd or gzip",
	takes:    []content{{api.LinesType, reflect.TypeFor[api.Evidence]()}},
	answers:  []answer{ok("One result a line, in order", content{api.LinesType, reflect.TypeFor[api.Result]()})},
	problems: ofSubmissions,
}

var aboutDifferences = description{
	summary:  "Where the builds of an output that diverges differ, file by file, by what their builders signed",
	params:   []param{{name: "output", doc: "The output's key.", of: text, required: true}},
	answers:  []answer{ok("The manifests that there are, and how they differ", content{"application/json", reflect.TypeFor[api.Differences]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutManifest = description{
	summary: "A builder's manifest of a build: a Sigstore bundle, and on the lines behind it what is in the output",
	params: []param{
		{name: "output", doc: "The output's key.", of: text, required: true},
		{name: "digest", doc: "The output's digest.", of: text, required: true},
		{name: "builder", doc: "The builder: 32 characters of a-z and 2-7.", of: text, required: true},
	},
	answers:  []answer{ok("The manifest, as it was handed in", content{media: api.LinesType})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutWantedManifests = description{
	summary: "Outputs that diverge, of which a builder has a digest, and has handed in no manifest",
	params: []param{
		{name: "builder", doc: "The builder: 32 characters of a-z and 2-7.", of: text, required: true},
		{name: "cursor", doc: "The next of the page before.", of: text},
	},
	answers:  []answer{ok("A page of them", content{"application/json", reflect.TypeFor[api.WantedManifests]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemSlowDown, api.ProblemTryLater},
}

var aboutSubmittedManifest = description{
	summary: "Hand in what is in a build of an output that diverges, with optional Content-Encoding zstd or gzip",
	takes:   []content{{media: api.LinesType}},
	answers: []answer{ok("It is kept", content{"application/json", reflect.TypeFor[api.ManifestKept]()})},
	problems: []api.ProblemKind{
		api.ProblemMalformed, api.ProblemNotEnrolled, api.ProblemKeyNotValid, api.ProblemBadSignature, api.ProblemNotWanted, api.ProblemOverBudget,
		api.ProblemTooSlow, api.ProblemTooLarge, api.ProblemMediaType, api.ProblemTryLater,
	},
}

var aboutAsking = description{
	summary: "Ask for a builder to be enrolled, with its key's signature",
	takes:   []content{{"application/json", reflect.TypeFor[enrolmentRequest]()}},
	answers: []answer{
		ok("The builder is enrolled; the receipt is for its first enrolment", content{"application/json", reflect.TypeFor[api.Enrolment]()}),
		{http.StatusAccepted, "A person decides", []content{{"application/json", reflect.TypeFor[api.Enrolment]()}}, nil},
	},
	problems: []api.ProblemKind{
		api.ProblemMalformed, api.ProblemNotEnrolled, api.ProblemKeyNotValid, api.ProblemRefused, api.ProblemTooManyKeys, api.ProblemBadSignature,
		api.ProblemConflict, api.ProblemTooLarge, api.ProblemMediaType, api.ProblemSlowDown, api.ProblemTryLater,
	},
}

var aboutEnrolment = description{
	summary:  "What became of a builder's request to be enrolled",
	params:   []param{{name: "builder", doc: "The builder: 32 characters of a-z and 2-7.", of: text}},
	answers:  []answer{ok("How it stands", content{"application/json", reflect.TypeFor[api.Enrolment]()})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemInvalidParameter, api.ProblemTryLater},
}

var aboutCheckpoint = description{
	summary:  "The newest state of the ledger, signed (C2SP tlog-checkpoint)",
	answers:  []answer{ok("The checkpoint", content{media: "text/plain"})},
	problems: []api.ProblemKind{api.ProblemNotFound},
}

var aboutLogKey = description{
	summary: "The ledger's verifier key, one line (C2SP signed-note)",
	answers: []answer{ok("The key", content{media: "text/plain"})},
}

var aboutTile = description{
	summary:  "A tile of the ledger's hashes or entries (C2SP tlog-tiles)",
	params:   []param{{name: "path", doc: "Level and number of the tile, 0/000 or entries/000, as tlog-tiles writes them; it may contain slashes.", of: text}},
	answers:  []answer{ok("The tile", content{media: bytesType})},
	problems: []api.ProblemKind{api.ProblemNotFound},
}

var aboutAttachment = description{
	summary:  "What an entry of the ledger names by its SHA-256",
	params:   []param{{name: "path", doc: "sha256/ and 64 hexadecimal digits.", of: text}},
	answers:  []answer{ok("The attachment", content{media: bytesType})},
	problems: []api.ProblemKind{api.ProblemNotFound, api.ProblemErased},
}

var aboutOpenAPI = description{
	summary: "This document",
	answers: []answer{ok("OpenAPI 3.1", content{"application/openapi+json", object})},
}

func ok(doc string, contents ...content) answer { return answer{http.StatusOK, doc, contents, nil} }
