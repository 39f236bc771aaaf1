// Package snapshot makes of a ledger what researchers can take home: the documented
// views as Parquet files, with what is needed to cite them and to prove them.
//
// Start here: [Views] lists the views with their columns.
package snapshot
