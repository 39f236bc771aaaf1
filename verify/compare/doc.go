// Package compare says what became of the outputs of one list in another: a closure before
// and after a change, two evaluations of a package set, two of its revisions.
//
// Start here: [Reports] of two lists that package closure judged; or, where the one is to
// take the other's place, [Promote].
//
// # Model
//
// The store paths of a package differ from one revision to the next, so outputs are
// matched by their places: the attribute, system and output name where both lists say them,
// else the name without the version, as package ecosystem reads it. Where several outputs
// have one place, those whose versions are most alike are matched. An output that is in
// both lists is matched with itself.
//
// A policy makes of each output a [State]: reproduced, diverged, or undecided for want of
// evidence. The states of both sides make a [Class]. Only what was reproduced and is
// diverged has regressed: what was diverged before, or what nobody else had built, is no
// regression, whatever it is now. Each count is of a number that is named ([Counts]).
//
// The package is pure: the same lists and decisions give the same answer. testdata has
// vectors of it.
//
// # Trust
//
// The lists are believed in what they list, and in which attribute an output has. That
// names without their versions are of one package is a guess, and where it is wrong, an
// output is new that was not, or is compared with another one.
package compare
