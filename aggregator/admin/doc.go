// Package admin is how an operator of an aggregator tells it what to do: enrol
// and revoke builders, publish package sets, rebuild the index. While a server
// runs, the commands go to it through a Unix socket in its data directory, which
// only the server's user can open; that is the whole of the authentication.
//
// [Service] is what can be asked; the aggregator implements it, [Handler] serves
// an implementation, and [Dial] gives one that calls a running server.
package admin
