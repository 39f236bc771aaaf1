package aggregator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is the server's configuration: a YAML file, over which environment
// variables (REPRONET_AGGREGATOR_LISTEN, …) and flags are laid. It never moves a
// verdict.
type Config struct {
	// Data is the data directory.
	Data string `yaml:"data"`
	// Listen is the HTTP address. TLS is the business of a proxy in front.
	Listen string `yaml:"listen"`
	// URL is the address at which everybody else reaches the server, such as
	// https://repro.example.org: what feeds and the commands on pages name.
	// Empty: the address of each request.
	URL string `yaml:"url"`
	// Origin names the ledger, for ever: a host name and path under the
	// operator's control (C2SP tlog-checkpoint). It is part of the log's key
	// and cannot change once there is one.
	Origin string `yaml:"origin"`
	// Engine is the path of libchdb.so, the embedded ClickHouse; empty: where
	// `make engine` puts it.
	Engine string `yaml:"engine"`
	// ClickHouse is the URL of a ClickHouse server (http://user:password@host:8123/database)
	// to use in place of the embedded engine.
	ClickHouse string `yaml:"clickhouse"`
	// CheckpointInterval is how often the ledger publishes its state.
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	// MapInterval is how often the ledger commits to the verifiable map of its
	// outputs, if it has grown.
	MapInterval time.Duration `yaml:"map_interval"`
	Libp2p      Libp2p        `yaml:"libp2p"`
	// Admit says whose builders are enrolled into tier open without a person's
	// decision.
	Admit Admit `yaml:"admit"`
	// Witnesses is the path of a file that says who is asked to cosign the
	// ledger's checkpoints, see append.Config; empty: nobody.
	Witnesses string `yaml:"witnesses"`
	// Caches are Nix binary caches that are asked for the narinfo of outputs of
	// published sets that have none yet; none: nobody is asked. What they sign
	// counts once their key is enrolled (builders enrol --nix-key).
	Caches []Cache `yaml:"caches"`
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
		Data: "/var/lib/repronet-aggregator", Listen: "127.0.0.1:8080", Origin: "localhost/repronet",
		CheckpointInterval: time.Second, MapInterval: time.Hour,
	}
}

// LoadConfig lays the YAML file at path (none if "") and the environment over
// the defaults. A key that does not exist is an error.
func LoadConfig(path string, getenv func(string) string) (Config, error) {
	config := DefaultConfig()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("reading configuration: %w", err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&config); err != nil && !errors.Is(err, io.EOF) {
			return Config{}, fmt.Errorf("reading configuration %s: %w", path, err)
		}
	}
	if err := config.fromEnvironment(getenv); err != nil {
		return Config{}, err
	}
	return config, nil
}

func (c *Config) fromEnvironment(getenv func(string) string) error {
	const prefix = "REPRONET_AGGREGATOR_"
	for name, field := range map[string]*string{
		"DATA": &c.Data, "LISTEN": &c.Listen, "URL": &c.URL, "ORIGIN": &c.Origin, "ENGINE": &c.Engine, "CLICKHOUSE": &c.ClickHouse, "WITNESSES": &c.Witnesses,
	} {
		if value := getenv(prefix + name); value != "" {
			*field = value
		}
	}
	for name, field := range map[string]*time.Duration{
		"CHECKPOINT_INTERVAL": &c.CheckpointInterval, "MAP_INTERVAL": &c.MapInterval,
	} {
		value := getenv(prefix + name)
		if value == "" {
			continue
		}
		interval, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%s%s: %w", prefix, name, err)
		}
		*field = interval
	}
	if value := getenv(prefix + "LIBP2P_LISTEN"); value != "" {
		c.Libp2p.Listen = strings.Split(value, ",")
	}
	return nil
}

// originPattern is a schema-less URL, as C2SP tlog-checkpoint asks for, without
// what a signed note's key name cannot hold.
var originPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?(/[a-zA-Z0-9._~-]+)*$`)

// Validate reports what cannot work, and how to change it.
func (c *Config) Validate() error {
	if c.Data == "" {
		return errors.New("data: name the data directory")
	}
	if err := c.Admit.validate(); err != nil {
		return err
	}
	for _, cache := range c.Caches {
		if u, err := url.Parse(cache.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("caches: %q is not a URL, such as https://cache.nixos.org", cache.URL)
		}
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("url: %q is not an address such as https://repro.example.org", c.URL)
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w (want HOST:PORT)", err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen: %q is not a port", port)
	}
	if !originPattern.MatchString(c.Origin) || len(c.Origin) > 200 {
		return fmt.Errorf("origin: %q is not a host name and path, such as repro.example.org/2026", c.Origin)
	}
	if c.CheckpointInterval < 100*time.Millisecond || c.CheckpointInterval > time.Hour {
		return fmt.Errorf("checkpoint_interval: %v is not between 100ms and 1h", c.CheckpointInterval)
	}
	if c.MapInterval < time.Second || c.MapInterval > 24*time.Hour {
		return fmt.Errorf("map_interval: %v is not between 1s and 24h", c.MapInterval)
	}
	return nil
}
