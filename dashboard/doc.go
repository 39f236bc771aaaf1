// Package dashboard is what people see: the server-rendered pages. It holds no data
// and no opinion: it reads from a [Source], whose documents are those of package api,
// which the aggregator implements and package dashboardtest fills in memory.
//
// # Pages
//
// Every page is a function of its URL: filters are GET parameters, nothing
// needs JavaScript, and where the JSON API has the same answer the page links to
// it. A page is computed into a typed view model, rendered into a buffer, and
// only then written, so that an error is an error page and never half a page.
//
// Each page is a method of [Dashboard]; the router, which is the server's, says under
// which address it is, and what an error may tell.
//
// # What it trusts
//
// Nothing that a Source returns: names, traits and reasons come from strangers.
// They reach a page only through html/template's contextual escaping, and a
// command to copy only quoted for the shell. Pages forbid inline scripts and
// styles and every foreign origin.
package dashboard
