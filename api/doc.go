// Package api is what programs say to an aggregator and are told: the documents of
// its HTTP API as Go types, the paths, the kinds of problems, and a client.
//
// Start with [Dial], which takes an aggregator's address in either of its forms and
// returns a [Client]; its methods are the operations that /api/v1/openapi.json
// describes:
//
//	client, err := api.Dial("https://repro.example.org", time.Minute)
//	summary, err := client.Summary(ctx, "nixos-minimal")
//
// # Model
//
// Each document is declared here and nowhere else: the aggregator writes these
// types, its OpenAPI document is made from them, and reporters, checkers and
// programs of other projects read them. Members are added over time, and a reader
// passes over those that it does not know; what has few values ([Verdict], [Shape],
// [Tier], …) is a type of its own, and a value that a reader does not know is an
// error that wraps [ErrUnknownValue], so that nothing is made of it.
//
// Names in JSON are in snake_case, but for the older documents of submissions and
// of the roster, which are in camelCase as the in-toto statements beside them.
//
// An error of the aggregator is a problem document (RFC 9457) whose type is one of
// [ProblemKinds].
//
// # Trust
//
// Nothing. The client checks that answers have their form and are of a bounded
// size, not that they are true: a receipt is worth its proof (package ledger), and
// what an aggregator says of verdicts can be recomputed from its ledger (package
// verify).
package api
