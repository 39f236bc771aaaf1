// Package fair divides what a server has among strangers, so that one of them cannot
// use it up for all others.
//
// # Model
//
// Strangers are told apart by the network that they come from ([Networks]): keys and peer
// IDs are made by the thousand, addresses are not. A [Pool] is an amount of something, such
// as bytes of memory or places to work at: a part of it can be taken at once or not
// ([Pool.Try]), or waited for ([Pool.Acquire]). Those who wait are served by what they have
// had already, not by who came first: a network with a thousand requests waits behind one
// that sends its first. [Rates] bound how much an address has in a time.
//
// # Trust
//
// An address behind which many are, such as a proxy's, has no share of its own: all who come
// from it are one party without a bound of its own.
package fair
