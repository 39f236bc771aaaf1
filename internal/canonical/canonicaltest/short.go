//go:build !long

package canonicaltest

// Inputs is how many texts a parser is tried on.
const Inputs = 200_000
