// Package rebuild makes builds again on purpose, to see whether they come out the same.
//
// Nix's own check ("nix-build --check") ends at the first output that differs, tells no
// hook of it, and cannot compare content-addressed outputs, whose paths differ with their
// contents. So [Run] does not check in place: it builds the recipe in a Nix store of its
// own, a directory, to which the inputs are copied, and reads every output's digest there.
// Neither root nor Nix's daemon is needed for that, and the machine's store stays as it is.
// What comes out is compared with what the machine's store has and with further builds, and
// is recorded for the reporter whether it differs or not.
//
// A recipe is somebody else's program. It is built in Nix's sandbox or not at all: recipes
// that ask to be outside of it are refused ([ErrRefused]), and the sandbox has no network.
// What a build may cost is bounded by [Limits]. One that comes to the end of its time has
// failed for all the world to see; one that is stopped since it takes more memory, disk or
// processes than this machine gives says nothing about the recipe, and nothing is recorded of it.
//
// The package trusts this machine's Nix, its configuration (which substituters inputs may
// come from) and its store.
package rebuild
