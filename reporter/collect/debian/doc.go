// Package debian reads what dpkg-buildpackage, sbuild and others write about a build of a
// Debian package: the .buildinfo file (deb-buildinfo(5)) with the binary packages, their
// digests and the environment, and the .changes file (deb-changes(5)) that names it.
//
// The outputs of a build are its binary packages. Each belongs to the build of its own
// architecture, "hello@2.10-3/amd64" or "hello@2.10-3/all", since some builders make them
// together and others apart. Versions are those of the changelog, epoch and all; names of
// files leave the epoch out.
//
// What the file says of the packages is compared with the packages beside it: a claim is
// made of what is there. Whether the file is signed plays no part, since the claim is signed
// by whoever makes it.
package debian
