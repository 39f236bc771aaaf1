// Package verify lets the user of a build check, on a machine of their
// own, what independent builders said about it: the library behind
// repronet-verify.
//
// Start here: [LoadPins], then [Pins.OpenMirror] and [Pins.Update]; [Mirror.Evidence] is
// what is asked of the copy, and [Evidence.Decide] what the answer comes to.
//
// # Model
//
// A [Mirror] is a checked copy of a ledger on the local disk, with an index of
// which entries speak of which output. It grows from the last state that it
// verified, and only along a proof that the ledger continues that state. [Pins]
// are what the user has decided to believe. [Mirror.Evidence] is every claim about
// one output that the ledger holds, opened under the pins; [Evidence.Judgement]
// is the verdict on it, by package divergence, and [Evidence.Decide] is the
// user's quorum on that. These steps are separate so that other policies can be
// put in the place of a quorum (package policy), and other questions asked of the
// same mirror: a closure, a binary cache's offers, a whole ledger.
//
// # Trust
//
// Two things are believed: the log's key and the builders' keys with their
// operators, as pinned. Nothing that an aggregator answers is believed: entries
// count only if the tree of a signed checkpoint has them, claims only if a pinned
// builder signed them, and operators are counted here. As the whole ledger is
// copied, an aggregator cannot hide an entry from one who asks for an output.
//
// What an aggregator can do is to show this user another ledger than everybody
// else from the beginning, or to stop showing new entries. The first is found
// when two users compare checkpoints, the second by the age of the newest one.
// It can also revoke a builder, which takes claims away, in the open.
package verify
