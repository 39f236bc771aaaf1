// Package load attacks a real aggregator as strangers can, and measures what that costs
// those who are honest.
//
// # Model
//
// The server is the real program with the real engine, on loopback. Each attack runs for
// a while alone, then all run together. Meanwhile an honest builder submits one
// statement after another, each over a connection of its own, and waits for a receipt
// that it verifies; a reader opens pages. Both are turned away like anybody, and ask
// again: what counts is how long it takes until they have what they asked for. Attackers
// come from other addresses of the loopback network than they.
//
// For each attack it prints the honest builder's and the reader's 99th percentile, the
// most memory that the server had resident, the bytes that the ledger grew by, and the
// processor time that it took, beside the goals. `make test-load` runs the long form, in
// which a goal that is missed is a failure, also with 2 GiB of memory in a control
// group; the short form, which every run of the tests has, only holds that the server
// lives and that honest requests get through.
package load
