// Package collect finds out what a build made: which outputs, with which
// digests, from which recipe and inputs, in which environment. It uses no
// network and writes nothing but what its caller asks for.
//
// For Nix it reads what Nix itself recorded. The derivation says what the
// outputs are; the store's database has the NAR hash of each since before the
// post-build hook runs, so nothing is hashed twice. Where the database cannot be
// read, the outputs are hashed.
//
// The inputs digest is the SHA-256 over one line "<path> <digest>\n" for each
// path of the build's input closure that is not content-addressed, sorted by
// path; the digest is the path's NAR hash in 64 hexadecimal digits. The input
// closure is what the derivation's input sources and the outputs it takes from
// its input derivations refer to, themselves included. Two builds of one
// derivation with different inputs digests were given different bytes.
//
// The package trusts the machine it runs on: a database that lies makes
// statements that lie, as a lying builder does.
package collect
