package p2p

import (
	"context"
	"net"
	"strconv"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// conn is a stream as a [net.Conn].
type conn struct {
	network.Stream
	close func() error
}

// newConn wraps s. Closing it the first time calls end and then after.
func newConn(s network.Stream, end func() error, after func()) *conn {
	return &conn{Stream: s, close: sync.OnceValue(func() error {
		defer after()
		return end()
	})}
}

// Abort ends the stream at once, without waiting for the peer, whatever it is used for.
func (c *conn) Abort() { _ = reset(c.Stream) }

func (c *conn) Close() error         { return c.close() }
func (c *conn) LocalAddr() net.Addr  { return netAddr(c.Conn().LocalMultiaddr()) }
func (c *conn) RemoteAddr() net.Addr { return netAddr(c.Conn().RemoteMultiaddr()) }

// netAddr gives the IP address and port of a TCP or QUIC multiaddr, the only
// ones there are here.
func netAddr(addr ma.Multiaddr) net.Addr {
	ip, err := manet.ToIP(addr)
	if err != nil {
		return &net.TCPAddr{}
	}
	if port, err := addr.ValueForProtocol(ma.P_UDP); err == nil {
		n, _ := strconv.Atoi(port)
		return &net.UDPAddr{IP: ip, Port: n}
	}
	port, _ := addr.ValueForProtocol(ma.P_TCP)
	n, _ := strconv.Atoi(port)
	return &net.TCPAddr{IP: ip, Port: n}
}

type peerIDKey struct{}

// ConnContext is for the field of that name of an [http.Server]: it puts the
// remote peer's ID into the context of every request, where [PeerID] finds it.
// Connections that are not libp2p streams pass unchanged.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, peerIDKey{}, c.Conn().RemotePeer().String())
	}
	return ctx
}

// PeerID returns the ID of the libp2p peer that sent the request with this
// context, or "" if it did not come over libp2p. The peer has the key of that
// ID, and could have made it a moment ago: an ID is for logs and rate limits,
// never evidence of who claims something.
func PeerID(ctx context.Context) string {
	id, _ := ctx.Value(peerIDKey{}).(string)
	return id
}
