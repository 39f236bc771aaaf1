// Package p2p carries HTTP over libp2p: one [http.Handler] answers plain HTTP
// and libp2p peers alike.
//
// # Model
//
// A libp2p connection (TCP secured by Noise and multiplexed by Yamux, or QUIC)
// joins two peers, each known by its peer ID, the hash of its key. On it, streams
// of the protocol [Protocol] each carry one HTTP/1.1 connection, byte for byte.
// So a server gives a [Listener] to an [http.Server],
//
//	l, err := p2p.Listen(ctx, p2p.Config{Listen: addresses, KeyFile: file})
//	server := &http.Server{Handler: handler, ConnContext: p2p.ConnContext, …timeouts…}
//	err = server.Serve(l)
//
// and a client gives a [Transport] to an [http.Client]. Timeouts, keep-alive,
// limits of header and body are net/http's, as on TCP. There is no discovery,
// no relay and no gossip: a client dials an address that it was told, outbound
// only, which also works behind NAT. Swarm, security and multiplexer are put
// together by hand instead of by libp2p.New, which brings all of those services
// and doubles the memory of an idle reporter.
//
// # Trust
//
// The client is sure of the server: a server without the key of the peer ID in
// the address is refused. The server learns the client's peer ID ([PeerID]),
// which anybody makes by the thousand. It serves logs and rate limits, and is
// never evidence: every payload is signed by a builder's own key.
// A request's RemoteAddr is the peer's IP address and port, as it is over TCP,
// so whatever counts by address counts the same over both.
//
// # Limits
//
// libp2p's defaults suit a peer in a swarm of strangers, not a server: from one
// IPv4 address it takes 8 connections, and a new one every 5 seconds, so of 20
// reporters in one office 7 get in. They exempt loopback, where tests run. All
// limits that hold here are in [Config] and in limits.go, none depend on the
// machine's memory, and what is over a limit is refused by closing it; nothing
// waits. A peer, and all peers of an address together, have a bounded number of
// streams, and what an unread stream may buffer is reserved before it is read. A
// connection without a stream is closed after two minutes, or after seconds where
// most are open, and a stream by the timeouts of the [http.Server]: set all four.
package p2p
