// Package snapshot makes of a ledger what researchers can take home: the documented
// views as Parquet files, with what is needed to cite them and to prove them.
//
// Start here: [Views] lists the views with their columns, [Make] makes a snapshot of a
// ledger, [Check] checks what a ledger's key signed, and [Compare] finds what does not
// follow from the ledger.
//
// # Model
//
// A snapshot is a directory:
//
//	<view>.parquet, <view>/<ecosystem>.parquet, <view>/<ecosystem>/<month>.parquet
//	datapackage.json   what it was made of, and the columns (Frictionless Data Package)
//	croissant.json     the same for machine learning (MLCommons Croissant)
//	CITATION.cff, LICENSE
//	SHA256SUMS         of all of these
//	SHA256SUMS.note    the word of the ledger's key for them (C2SP signed-note)
//	checkpoint         the ledger's signed state that they follow from
//
// All but the last two are a pure function of the ledger's first entries: the same bytes
// wherever they are made, by the aggregator or by a stranger, in how many workers or with
// an earlier snapshot beside. Nothing in a file says when, where or by whom it was
// written; "created" is when the last entry was received. Rows are in the order of the
// SHA-256 of what they are about (attestation.OutputID), those about the same in ledger
// order; a row group has 131,072 rows.
//
// The work is one replay of the ledger (package replay). What entries say is set aside on
// disk, in the files of their outputs' IDs, and written together with the verdicts; in
// memory are a 256th of it, what a replay has there, 8 bytes for each entry, a row group
// for each file that is open, and the revisions of package sets without their members.
//
// An observation is what was said, whoever said it and whether it counts: the verdicts
// say what follows from it. Causes and experiments are no views yet: the ledger has no
// entries of experiments, and a divergence's cause is a join over edges.
//
// # Trust
//
// The ledger is the caller's to check, as for a replay. A published snapshot is believed in
// nothing: [Check] reads no more of it than sums and signatures, and [Compare] reads its
// files as a defendant's.
package snapshot
