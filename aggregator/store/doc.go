// Package store keeps the index of the ledger in ClickHouse. All SQL of the
// project is here: the numbered migrations, what the index writes and what the
// pages read.
//
// # Model
//
// The store holds no truth. Everything in it is computed from the ledger and can
// be computed again. One index ("generation") is one database, named after the
// configured one with a number behind it; a table in the configured database
// says which is current. Reindexing fills a new generation beside the current
// one and then makes it current by inserting one row.
//
// Outputs and builders are numbered in the order in which ledger entries first
// name them, so the tables are narrow and the numbers are the same whenever the
// ledger is indexed again.
//
// What is judged of an output is columns of the table verdicts, in one row with
// the claims that it was judged from: the verdict, how many operators and digests
// there are, its shape, how inputs compare, the entry that last changed the verdict
// (since; its time is that entry's in the table entries) and the verdict before.
// The index alone writes them; pages, the API and exports read them.
//
// Of which package an output is, package ecosystem tells from its names: package_outputs
// has it by package, so that a package's outputs are found without reading all names.
//
// # Versions
//
// Each generation says which migrations it has had; opening it runs the others.
// What they cannot do in SQL, package index completes ([Tables.Unfilled], [Tables.UnfilledPackages]).
//
// # Writing twice changes nothing
//
// The writer can be killed at any moment. What a batch of entries gives is
// written in this order, each step whole before the next begins:
//
//  1. rows that are equal whenever they are computed, and whose tables keep one
//     of equal rows: entries, observations, names, verdict changes, …
//  2. counts by verdict, with the ledger index up to which they are complete
//  3. the states of the outputs (verdicts), each with the index up to which it is
//     complete
//  4. the watermark: the next batch begins there
//
// An index of the same entries leaves out, when it is made again of a state, and out of the
// counts, the entries that these already contain, in whatever batches the
// entries come.
//
// # Trust
//
// Names, keys and reasons in the tables were written by strangers. They only
// ever go into a statement as data: a column of a batch, or a query parameter.
package store
