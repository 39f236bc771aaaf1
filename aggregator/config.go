package aggregator

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/aggregator/ingest"
	"repronet.dev/aggregator/notify"
	"repronet.dev/aggregator/schedule"
)

// Config is the server's configuration: a YAML file, over which environment
// variables (REPRONET_AGGREGATOR_LISTEN, …) and flags are laid, see [Settings]. It
// never moves a verdict.
type Config struct {
	// Data is the data directory.
	Data string `yaml:"data"`
	// Listen is the HTTP address. TLS is the business of a proxy in front.
	Listen string `yaml:"listen"`
	// URL is the address at which everybody else reaches the server, such as
	// https://repro.example.org: what feeds and the commands on pages name.
	// Empty: the address that a request's connection was made to, never what the request
	// says of it.
	URL string `yaml:"url"`
	// Proxies are addresses, or networks such as 10.0.0.0/24, of the proxies in front of
	// the server that are believed when they say whom a request is from
	// (X-Forwarded-For) and under which prefix they are reached (X-Forwarded-Prefix).
	// Empty: nobody is believed.
	Proxies []string `yaml:"proxies"`
	// MaxConnections is how many connections, over HTTP and libp2p, may be open; 0:
	// [conns.DefaultMax], or half of the descriptors that the process may have.
	MaxConnections int `yaml:"max_connections"`
	// Budget is how many bytes of ledger and attachments are written in a day.
	Budget ingest.Budget `yaml:"budget"`
	// Webhook is the URL that is told, by a POST of JSON, that requests to be enrolled
	// wait for the operator; empty: nobody is.
	Webhook string `yaml:"webhook"`
	// Notify says how subscribers are told of changes.
	Notify Notify `yaml:"notify"`
	// Origin names the ledger, for ever: a host name and path under the
	// operator's control (C2SP tlog-checkpoint). It is part of the log's key
	// and cannot change once there is one. Empty: that of the ledger in Data.
	Origin string `yaml:"origin"`
	// Engine is the path of libchdb.so, the embedded ClickHouse; empty: where
	// `make engine` puts it.
	Engine string `yaml:"engine"`
	// ClickHouse is the URL of a ClickHouse server (http://user:password@host:8123/database)
	// to use in place of the embedded engine.
	ClickHouse string `yaml:"clickhouse"`
	// CheckpointInterval is how often the ledger publishes its state.
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	// Follow is the address of an aggregator whose ledger is served from a checked copy,
	// with submissions passed on to it; empty: this server writes a ledger of its own.
	Follow string `yaml:"follow"`
	// LogKey is the key of the followed ledger, as its /log/key shows it, which has to be
	// got in a way that can be trusted.
	LogKey string `yaml:"log_key"`
	// MaxLag is for how long the followed aggregator may be silent until the follower says
	// that it is not ready.
	MaxLag time.Duration `yaml:"max_lag"`
	// MapInterval is how often the ledger commits to the verifiable map of its
	// outputs, if it has grown.
	MapInterval time.Duration `yaml:"map_interval"`
	Libp2p      Libp2p        `yaml:"libp2p"`
	// Admit says whose builders are enrolled into tier open without a person's
	// decision.
	Admit Admit `yaml:"admit"`
	// Console is for questions in SQL over the newest snapshot.
	Console Console `yaml:"console"`
	// Witnesses is the path of a file that says who is asked to cosign the
	// ledger's checkpoints, see writer.Config; empty: nobody.
	Witnesses string `yaml:"witnesses"`
	// Snapshots says when all data are written as files.
	Snapshots Snapshots `yaml:"snapshots"`
	// Caches are Nix binary caches that are asked for the narinfo of outputs of
	// published sets that have none yet; none: nobody is asked. What they sign
	// counts once their key is enrolled (builders enrol --nix-key).
	Caches []Cache `yaml:"caches"`
	// NewPseudonyms lets the server start though the secret is lost from which the
	// names of operators were made that joined by an identity. It is no setting of
	// a file: it is meant for one start.
	NewPseudonyms bool `yaml:"-"`
	// ClockIsRight lets the server start although the machine's clock is far from the
	// ledger's last entry, see writer.ClockError. It is meant for one start, too.
	ClockIsRight bool `yaml:"-"`
}

// Snapshots says when all data are written as files, for researchers to take home.
type Snapshots struct {
	// Schedule is when one is made, in UTC, as robfig/cron reads it.
	Schedule string `yaml:"schedule"`
	// Keep is how many are kept, the newest; 0: none are made by the schedule.
	Keep int `yaml:"keep"`
}

// Cache is a Nix binary cache.
type Cache struct {
	URL string `yaml:"url"`
}

// Libp2p configures the second way in.
type Libp2p struct {
	// Listen holds multiaddrs (TCP, QUIC); empty: no libp2p.
	Listen []string `yaml:"listen"`
}

// DefaultConfig returns what holds where nothing else is said.
func DefaultConfig() Config {
	return Config{
		Data: "/var/lib/repronet-aggregator", Listen: "127.0.0.1:8080",
		CheckpointInterval: time.Second, MapInterval: time.Hour, MaxLag: 10 * time.Minute, Budget: ingest.DefaultBudget(),
		Snapshots: Snapshots{Schedule: "17 3 * * *", Keep: 3},
		Notify:    Notify{Digest: notify.DefaultDigest, SMTP: SMTP{Encryption: string(notify.STARTTLS)}},
	}
}

// Shown is the configuration without the passwords in its addresses, to be printed.
func (c Config) Shown() Config {
	c.ClickHouse, c.Follow, c.Webhook = withoutPassword(c.ClickHouse), withoutPassword(c.Follow), withoutPassword(c.Webhook)
	c.Caches = slices.Clone(c.Caches)
	for i := range c.Caches {
		c.Caches[i].URL = withoutPassword(c.Caches[i].URL)
	}
	return c
}

// withoutPassword hides the passwords that an address can have: before its host, and as a
// parameter.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // which no setting takes
	}
	if query := u.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	} else if _, has := u.User.Password(); !has {
		return address
	}
	return u.Redacted()
}

// originPattern is a schema-less URL, as C2SP tlog-checkpoint asks for, without
// what a signed note's key name cannot hold.
var originPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(/[a-zA-Z0-9._~-]+)*$`)

// A SettingError says that a setting cannot work, and how to change it.
type SettingError struct {
	Setting string // as the YAML file has it, sections before it with dots
	Reason  string
}

func (e *SettingError) Error() string { return e.Setting + ": " + e.Reason }

func wrong(setting, format string, args ...any) error {
	return &SettingError{setting, fmt.Sprintf(format, args...)}
}

// Validate reports the first setting that cannot work, as a [*SettingError].
func (c *Config) Validate() error {
	if c.Data == "" {
		return wrong("data", "name the data directory")
	}
	if err := c.Admit.validate(); err != nil {
		return err
	}
	for _, cache := range c.Caches {
		if !isWebAddress(cache.URL) {
			return wrong("caches", "%q is not a URL, such as https://cache.nixos.org", cache.URL)
		}
	}
	if c.URL != "" && !isWebAddress(c.URL) {
		return wrong("url", "%q is not an address such as https://repro.example.org", c.URL)
	}
	if hook, err := url.Parse(c.Webhook); c.Webhook != "" && (err != nil || hook.Host == "" || hook.Scheme != "http" && hook.Scheme != "https") {
		return wrong("webhook", "%q is not an address such as https://chat.example.org/hook", c.Webhook)
	}
	if err := c.validateNotify(); err != nil {
		return err
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	if c.MaxConnections != 0 && c.MaxConnections < 8 {
		return wrong("max_connections", "%d are not enough to serve anybody: want 8 or more, or 0 for the default", c.MaxConnections)
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return wrong("listen", "%q is not HOST:PORT", c.Listen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return wrong("listen", "%q is not a port", port)
	}
	if c.Origin != "" && (!originPattern.MatchString(c.Origin) || len(c.Origin) > 200) {
		return wrong("origin", "%q is not a host name and path, such as repro.example.org/2026", c.Origin)
	}
	if err := c.validateFollowing(); err != nil {
		return err
	}
	if c.CheckpointInterval < 100*time.Millisecond || c.CheckpointInterval > time.Hour {
		return wrong("checkpoint_interval", "%v is not between 100ms and 1h", c.CheckpointInterval)
	}
	if err := schedule.Check(c.Snapshots.Schedule); err != nil {
		return wrong("snapshots.schedule", "%v: want minute, hour, day, month and weekday, such as %q", err, DefaultConfig().Snapshots.Schedule)
	}
	if c.Snapshots.Keep < 0 || c.Snapshots.Keep > 1000 {
		return wrong("snapshots.keep", "%d is not between 0 and 1000", c.Snapshots.Keep)
	}
	if c.MapInterval < time.Second || c.MapInterval > 24*time.Hour {
		return wrong("map_interval", "%v is not between 1s and 24h", c.MapInterval)
	}
	return nil
}

// validateFollowing refuses what a follower cannot do without, or cannot use.
func (c *Config) validateFollowing() error {
	if c.Follow == "" {
		if c.LogKey != "" {
			return wrong("log_key", "it is the key of a ledger that is followed: name its server with follow")
		}
		return nil
	}
	if c.LogKey == "" {
		return wrong("log_key", "name the key of the ledger of %s, which its operator publishes: a follower believes nobody else", c.Follow)
	}
	key, err := note.NewVerifier(c.LogKey)
	if err != nil {
		return wrong("log_key", "%.200q is no key of a log: want what %s/log/key shows, NAME+HASH+KEY", c.LogKey, c.Follow)
	}
	if c.Origin != "" && c.Origin != key.Name() {
		return wrong("origin", "%s is to be served, and the key is of %s", c.Origin, key.Name())
	}
	if c.MaxLag < time.Second {
		return wrong("max_lag", "%v is less than 1s", c.MaxLag)
	}
	for setting, set := range map[string]bool{
		"witnesses": c.Witnesses != "", "webhook": c.Webhook != "", "caches": len(c.Caches) > 0,
		"notify.smtp.host": c.Notify.SMTP.Host != "",
	} {
		if set {
			return wrong(setting, "it is for the server that writes the ledger, and this one follows %s", c.Follow)
		}
	}
	return nil
}

// proxies reads the addresses of the proxies that are believed.
func (c *Config) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range c.Proxies {
		if ip, err := netip.ParseAddr(text); err == nil {
			list = append(list, netip.PrefixFrom(ip.WithZone(""), ip.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, wrong("proxies", "%.60q is no address and no network such as 10.0.0.0/24", text)
		}
		if network.Bits() == 0 {
			return nil, wrong("proxies", "%s is everybody: name the proxies alone, since they are believed", text)
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

func isWebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.RawQuery == "" && u.Fragment == ""
}
