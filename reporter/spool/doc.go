// Package spool keeps what a builder has collected until the ledger has it.
//
// It is a directory, and every step through it is durable before the next one
// begins:
//
//	queue/     one file per [Record]: what was built. Anybody on the machine who
//	           may write there adds records, at any time, without a lock
//	retained/  records of outputs that may not leave the machine yet, because no
//	           chosen package set has them; deleted after some weeks
//	outbox/    signed statements, each naming the records it carries
//	sent/      copies of statements that the ledger has, for [CopyAge]: a ledger that is
//	           restored from a backup has lost some of them, see [Writer.SendAgain]
//	refused/   statements that the aggregator will never accept, with its reason
//	corrupt/   files that could not be read back
//	state.json where the chain of statements stands, and the counts
//	receipts.jsonl  proofs that the ledger has what it acknowledged
//	ledger     which ledger sent/ and seen are of, see [Writer.UseLedger]
//	seen       the newest checkpoint of the ledger, see [Writer.SetSeen]
//	convictions/   proofs that the ledger's holder signed two histories
//	reserve    room for what has to be written on a full file system
//	requeue    asks the writer to send again what is in refused/
//	problems.log, contact.json   for people, see [Status]
//
// One process at a time is the [Writer]; it alone turns records into statements
// and deletes anything. A record is in exactly one statement whenever the
// process dies: the outbox file is on disk before the records it names are
// deleted, and a Writer that finds both deletes the records. A statement is
// deleted only after state.json, which counts it, is on disk and says that it
// will be deleted.
//
// The spool trusts the file system and its own lock. It believes nothing of what
// an aggregator answers: package submit checks receipts, and the caller settles
// a statement only after that.
package spool
