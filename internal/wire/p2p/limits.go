package p2p

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

const (
	defaultMaxConns             = 2048
	defaultMaxConnsPerAddress   = 256
	defaultMaxStreamsPerPeer    = 64
	defaultMaxStreamsPerAddress = 512

	// newConnsPerSecond from one address, after a burst of as many as may be
	// open at once. A reporter keeps its connection, so this many are asked
	// for only by reporters that restart or by an attacker.
	newConnsPerSecond = 10

	// Yamux reserves 256 KiB a stream before anything is read, and more for fast ones, up
	// to maxWindow: what an unread stream may buffer, so what peers can make the server
	// keep. It is counted, not allocated.
	systemMemory = 512 << 20
	peerMemory   = 24 << 20
	maxWindow    = 1 << 20
	connsPerPeer = 16
	// crowded is the part of MaxConns, in percent, beyond which connections without a
	// stream are closed after crowdedIdle.
	crowded     = 75
	crowdedIdle = 10 * time.Second
)

// newResourceManager makes the server's limits. Whatever is not named here is
// unlimited.
func newResourceManager(cfg Config) (network.ResourceManager, error) {
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			ConnsInbound:   rcmgr.LimitVal(cfg.MaxConns),
			StreamsInbound: rcmgr.LimitVal(2 * cfg.MaxConns),
			Memory:         systemMemory,
		},
		PeerDefault: rcmgr.ResourceLimits{
			ConnsInbound:   connsPerPeer,
			StreamsInbound: rcmgr.LimitVal(cfg.MaxStreamsPerPeer),
			Memory:         peerMemory,
		},
	}.Build(rcmgr.InfiniteLimits)

	// An IPv6 site is a /56 and a provider's customer may have a /48; an IPv4
	// address may be a whole office behind NAT.
	perAddress, perSite := cfg.MaxConnsPerAddress, 4*cfg.MaxConnsPerAddress
	limit := func(conns int) rate.Limit {
		return rate.Limit{RPS: newConnsPerSecond, Burst: conns}
	}
	loopback4, loopback6 := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")
	manager, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddress}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perAddress}, {PrefixLength: 48, ConnCount: perSite}},
		),
		rcmgr.WithNetworkPrefixLimit(
			[]rcmgr.NetworkPrefixLimit{{Network: loopback4, ConnCount: math.MaxInt}},
			[]rcmgr.NetworkPrefixLimit{{Network: loopback6, ConnCount: math.MaxInt}},
		),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{{Prefix: loopback4}, {Prefix: loopback6}},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: limit(perAddress)}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: limit(perAddress)}, {PrefixLength: 48, Limit: limit(perSite)}},
				GracePeriod:      time.Minute,
			},
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("setting libp2p limits: %w", err)
	}
	return manager, nil
}
