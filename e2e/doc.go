// Package e2e holds the scenarios: whole networks out of the real programs, with
// real builds, real kills and an aggregator that lies. It has nothing but tests.
//
//	TestBuilds   three builders build and report (Nix, else Go); then on that data:
//	             each verdict by name, evidence checked by strangers, reindexing,
//	             repronet-verify against an honest and a lying aggregator, the
//	             pages in a browser
//	TestKills    aggregator and reporter are killed under load; nothing is lost and
//	             nothing is there twice; every batch size gives the same index
//	TestNAT      twenty reporters behind one address
//	TestDemo     what `make run` starts
//	TestIndependent
//	             a second implementation of docs/formats.md (independent/, in Python)
//	             on what each release wrote; the scenarios hold it against theirs
//
// What a scenario cannot do without (root, Nix, a browser, the engine) makes it
// skip with a line that says so; where the environment has CI set, it fails.
//
// Environment: REPRONET_BIN names a directory with the three programs, which are
// built otherwise; REPRONET_SCREENSHOTS names one for pictures of the pages.
package e2e
