// Package divergence turns claims into verdicts. It is the opinion that the
// project publishes, written down as a pure function so that anybody can
// recompute it: no database, no clock, no configuration.
//
// Start here: [Output.Add] collects claims, and [Judge] gives the verdict on them.
//
// The model: an output has claims, one for each digest that a builder says it
// got. A statement's claim stands until it is withdrawn; a signed document's,
// until the builder signs another that names the output ([Output.Weigh]). The claims of
// an operator's builders are the operator's position, a set of digests. The positions of the counted operators give the verdict, and for a
// divergence its shape. Independence is counted in operators, never in keys or
// submissions.
//
// testdata/verdicts.txt holds the conformance vectors: every program that recomputes
// verdicts with other code can run them.
package divergence
