// Package keys is the part of signing that a reporter needs: the keys that
// builders sign with, and writing and reading the form of Sigstore bundles. It
// checks no signature; package signing does.
//
// It stands apart because of what it does not import: sigstore-go's checking
// brings in transparency logs, certificates and their clients, which a program
// that only signs would pay for with every start (a hook's whole time) and twice
// its size. What is signed here is checked there, and by openssl, in the tests of
// package signing.
package keys
