// Package witness is a witness of logs: it cosigns a log's checkpoints if each
// continues the last one that it cosigned (C2SP tlog-witness and
// tlog-cosignature). Who asks for the cosignatures of some witnesses that the
// log's operator does not control can be shown no history of its own: the witnesses
// cosign one only.
//
// # Model
//
// A [Witness] keeps one checkpoint of each log, the last that it cosigned. To a
// request (POST /add-checkpoint: the size that the sender believes the witness to be
// at, a consistency proof from there, a checkpoint) it answers with a cosignature if
// the proof leads from the one to the other, and the new checkpoint is on disk.
// Requests about one log are answered one after the other. What it does not need, it
// does not have: neither entries nor tiles.
//
// # Statuses
//
// 200 with the cosignature; 400 for what is no such request; 403 if the log's key did
// not sign the checkpoint; 404 for a log that it does not know; 409 with the size in
// the body (text/x.tlog.size) if it is at another size, which is the answer to a log
// that was rolled back; 409 without for another root at the same size, and 422 for a
// proof that does not lead there: forks.
//
// # Trust
//
// A witness believes no log. A reader who believes a witness believes that it keeps its key
// to itself and its directory of states whole: both lost together are a new witness,
// but a key whose states are lost would cosign another history. So the states are
// kept beside the key.
package witness
