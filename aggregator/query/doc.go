// Package query answers what the pages and the API ask (dashboard.Source) from
// the index, the ledger and the roster.
//
// # Model
//
// What a page lists comes from the index (package store) with a bounded number
// of look-ups by primary key, whatever is stored. Verdicts and shapes of outputs
// are judged from their claims when they are read, by the same function and the
// same roster as in the index. What only an entry itself says (a claim's
// environment, when a build finished) is read from the ledger entry, for a
// bounded number of entries.
//
// Nothing here depends on a clock: equal watermarks give equal answers. What
// compares builders comes from roll-ups, which are made now and then; its answers
// carry the watermark at which theirs was.
package query
