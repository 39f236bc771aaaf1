// Package manifest says what is in an output, file by file, so that two builders who got
// different bytes can see where they differ without either of them giving the bytes away.
//
// Start here: [Of] lists what is in a directory or file, [Sign] makes a document of it that a
// builder answers for, [Open] reads one, and [Compare] says where two lists differ.
//
// # Model
//
// A [Manifest] is a list of entries: the output itself first, each directory before what is in
// it, and what a NAR has of each (type, the executable bit, size and SHA-256 of contents, the
// target of a link). Times, owners and other permissions are none of an output. Of archives
// and compressed files the members are listed too, as far as that is not too much: most of
// what differs in a package differs in one of them.
//
// A document is JSON lines: the builder's Sigstore bundle over a [Statement], which names the
// output, its digest, and the SHA-256 of the lines that follow, one for each entry. Its ID is
// the SHA-256 of all of it.
//
// # Trust
//
// A manifest is its builder's word. Nothing here proves that an output with the digest has
// these files: who has the output itself compares ([Of]). No verdict depends on a manifest.
package manifest
