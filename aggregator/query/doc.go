// Package query answers what the pages and the API ask (dashboard.Source) from
// the index, the ledger and the roster.
//
// # Model
//
// What a page lists comes from the index (package store), with one question for
// each kind of fact, by primary key: as many questions for fifty outputs as for
// one, whatever is stored. What is judged of an output (its verdict, shape, numbers
// of operators and digests) was written by the index when it judged, and is only
// read here. What only an entry itself says (a claim's environment, when a build
// finished) is read from the ledger entry, for a bounded number of entries.
//
// Nothing here depends on a clock: equal watermarks give equal answers. What
// compares builders comes from roll-ups, which are made now and then; its answers
// carry the watermark at which theirs was.
package query
