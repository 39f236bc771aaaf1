package p2p

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/quic-go/quic-go"
)

// Protocol is the libp2p protocol whose streams carry HTTP/1.1.
const Protocol protocol.ID = "/repronet/http/1.0.0"

// newSwarm puts together what opens and accepts connections: TCP with Noise and
// Yamux, and QUIC. Closing the swarm closes all of it but the limits.
func newSwarm(key crypto.PrivKey, limits network.ResourceManager) (_ *swarm.Swarm, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("setting up libp2p: %w", err)
		}
	}()
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	s, err := swarm.NewSwarm(id, peers, eventbus.NewBus(),
		swarm.WithResourceManager(limits),
		// These stop dialling an address family after many failures. Here
		// failures mean that the one server is away, not that UDP is.
		swarm.WithUDPBlackHoleSuccessCounter(nil),
		swarm.WithIPv6BlackHoleSuccessCounter(nil),
	)
	if err != nil {
		return nil, errors.Join(err, peers.Close())
	}
	err = errors.Join(
		peers.AddPrivKey(id, key),
		peers.AddPubKey(id, key.GetPublic()),
		addTCP(s, key, limits),
		addQUIC(s, key, limits),
	)
	if err != nil {
		return nil, errors.Join(err, closeSwarm(s))
	}
	return s, nil
}

func closeSwarm(s *swarm.Swarm) error {
	return errors.Join(s.Close(), s.Peerstore().Close())
}

func addTCP(s *swarm.Swarm, key crypto.PrivKey, limits network.ResourceManager) error {
	muxer := *yamux.DefaultTransport
	muxer.MaxStreamWindowSize = maxWindow
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: &muxer}}
	security, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return err
	}
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, limits, nil)
	if err != nil {
		return err
	}
	t, err := tcp.NewTCPTransport(up, limits, nil, tcp.DisableReuseport())
	if err != nil {
		return err
	}
	return s.AddTransport(t)
}

func addQUIC(s *swarm.Swarm, key crypto.PrivKey, limits network.ResourceManager) error {
	secret, err := key.Raw()
	if err != nil {
		return err
	}
	// Derived from the identity, so that a server that was restarted can tell
	// its clients at once that their connections are gone.
	reset, err := hkdf.Key(sha256.New, secret, nil, "repronet quic stateless reset", len(quic.StatelessResetKey{}))
	if err != nil {
		return err
	}
	token, err := hkdf.Key(sha256.New, secret, nil, "repronet quic token", len(quic.TokenGeneratorKey{}))
	if err != nil {
		return err
	}
	conns, err := quicreuse.NewConnManager(quic.StatelessResetKey(reset), quic.TokenGeneratorKey(token),
		quicreuse.DisableReuseport(),
		quicreuse.VerifySourceAddress(limits.VerifySourceAddress),
	)
	if err != nil {
		return err
	}
	t, err := libp2pquic.NewTransport(key, conns, nil, nil, limits)
	if err != nil {
		return errors.Join(err, conns.Close())
	}
	return s.AddTransport(t)
}
