// Package dashboard is what people and programs see: the server-rendered pages
// and the JSON API. It holds no data and no opinion: it reads from a [Source],
// which the aggregator implements and package dashboardtest fills in memory.
//
// # Pages
//
// Every page is a function of its URL: filters are GET parameters, nothing
// needs JavaScript, and where the JSON API has the same answer the page links to
// it. A page is computed into a typed view model, rendered into a buffer, and
// only then written, so that an error is an error page and never half a page.
//
// # API
//
// [NewAPI] makes the API (OpenAPI 3.1 at /api/v1/openapi.json), on which others
// may register operations too. Its answers to GET carry an ETag made of the
// index's watermark and the query, because equal watermarks mean equal answers.
// Errors are problem documents (RFC 9457) whose types are explained on the page
// /docs/problems.
//
// # What it trusts
//
// Nothing that a Source returns: names, traits and reasons come from strangers.
// They reach a page only through html/template's contextual escaping, and a
// command to copy only quoted for the shell. Pages forbid inline scripts and
// styles and every foreign origin.
package dashboard
