// Package console answers SQL of strangers over the views of package snapshot.
//
// Start here: [New], then [Console.Ask].
//
// # Model
//
// A question is one SELECT over the documented views. It is answered from the last snapshot's
// Parquet files, never from the index: what the pages read is another process's, with memory
// of its own.
//
// Each question has a process to itself: this program, started again with [WorkerArgument],
// which opens an engine of its own, makes a table for each view over the snapshot's files, and
// then waits for its one question. One that waits is kept for the next question, because
// loading the engine takes a second; after a time without questions it is ended. So nothing
// that a question does to its engine is there for the next one, and killing the process at any
// moment harms nothing.
//
// # Trust
//
// None in the question. Three things stand in its way, of which each is tested with the others
// taken away:
//
//   - A parser ([Parse]) lets a SELECT over the views through, with functions from a list, and
//     writes it anew for the engine in a spelling that both read the same way.
//   - The engine runs it read-only, which also keeps it from calling table functions, and
//     within bounds of time, memory, rows and bytes that it cannot change.
//   - The process is in a cage of the kernel: Landlock lets it read the snapshot and the system's
//     libraries, and write into a directory of its own; seccomp lets it open no socket and
//     start no program; it ends when its time is over or the server ends. Where the kernel has
//     no Landlock (Linux before 5.13), no question is answered.
package console
