// Package joining lets builders ask to be enrolled.
//
// A request proves that its sender holds the key (package enrolment). What
// happens then depends on who vouches:
//
//   - the key of an enrolled builder that endorses the new one: the new key is
//     enrolled at once, for the same operator, in the same tier, and no longer
//     than the old one;
//   - a Sigstore identity that the aggregator's policy admits: the key is enrolled
//     at once, for an operator whose name is a pseudonym of the identity, in tier
//     open. All keys of one identity are one operator. Operators in tier open are
//     shown and compared and move no verdict, so a hundred free accounts weigh
//     nothing until a person vouches for them;
//   - no rule: the request waits for a person, who approves or rejects it.
//
// What a person said of themselves is in an attachment that the enrolment names
// and that can be erased. Entries have pseudonyms only.
//
// Requests come from anybody, so they are bounded: in size, in number that wait,
// and in rate, for each address and for all together.
package joining
