// Package http is how an aggregator is reached: one router for the pages, the API,
// submissions, enrolments, exports, the ledger's files, and the probes. The same
// [Server] answers over HTTP and over libp2p.
//
// # Model
//
// routes.go lists every route, once, by its name: of the request log, of the
// metrics, and of the operation in the OpenAPI document, which is made from the same
// list, so that neither can have what the other lacks. A handler turns a request into
// a call of a domain package and the result into a document of package api; it decides
// nothing. What a call returns as an error goes through one table (problem.go), on
// pages as in the API. Whatever answers GET answers HEAD.
//
// Of every request one event is logged and one observation is counted, by the route's
// name and the status. A handler that panics is answered with a problem, and its
// stack is logged.
//
// # Trust
//
// Nothing that comes with a request: bodies are bounded before they are kept in
// memory, and checked by packages ingest and joining. What is logged and counted has
// no words of strangers in it.
package http
