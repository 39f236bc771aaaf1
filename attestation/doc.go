// Package attestation is the claim itself: what one builder says about the
// outputs of its builds, as an in-toto Statement v1 with one of three predicate
// types.
//
//   - rebuild/v1: "I built these, and got these digests."
//   - build-failed/v1: "I tried to build these, and could not." The subjects
//     are the recipes, because there are no outputs.
//   - withdraw/v1: "I no longer claim these digests for these outputs."
//
// Start here: [Parse] reads a statement, [Statement.Encode] writes one.
//
// The package is pure: it reads no files, no network and no clock. It trusts
// nothing: [Parse] accepts the documents that [Statement.Encode] can produce (in
// any order of members, with any white space) and refuses everything else with
// an error that names what is wrong. It says nothing about who made a claim;
// that is package signing's subject.
//
// Formats: in-toto Statement v1
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md); the
// predicates are documented in docs/formats.md.
package attestation
