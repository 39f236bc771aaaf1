// Package admin is how the operator of an aggregator tells it what to do: enrol and
// revoke builders, publish package sets, erase what names people, make the index anew.
//
// # Start here
//
// calls.go lists every call: its name, what is asked and what is answered. A command
// does one with
//
//	written, err := admin.Enrol.Do(ctx, caller, enrolment)
//
// The aggregator says which function does each call when it makes its [Service].
//
// # Model
//
// A [Caller] takes a call to where it is done. There are two: a [Service], for a program
// that has the data directory open itself, and what [Dial] returns, which goes through the
// Unix socket in the data directory to the server that has it open. Both carry the same
// JSON and the same errors, so a command cannot tell them apart: an error is an [*Error]
// of a [Kind] on both ways, and crosses the socket as a problem document (RFC 9457).
//
// Besides its request and answer a call can read a stream of bytes (the list of a package
// set) and write lines of progress, see [Streams].
//
// # Trust
//
// Only the server's user can open the socket. That is the whole of the authentication:
// what comes through it is believed, and bounded only so that a mistake does not exhaust
// the server.
package admin
