package aggregator_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/aggregator"
	"repronet.dev/aggregator/ingest"
)

func load(t *testing.T, file string, environment ...string) (*aggregator.Settings, string, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "aggregator.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := aggregator.LoadSettings(path, environment)
	return s, path, err
}

// TestConfigURL takes the server's address from the environment, and refuses what
// pages could not link to.
func TestConfigURL(t *testing.T) {
	for _, c := range []struct{ url, refused string }{
		{"", ""},
		{"https://repro.example.org", ""},
		{"http://127.0.0.1:8080/below", ""},
		{"repro.example.org", "environment variable REPRONET_AGGREGATOR_URL: setting url: "},
		{"ftp://repro.example.org", "environment variable REPRONET_AGGREGATOR_URL: setting url: "},
		{"https://repro.example.org/?a=b", "environment variable REPRONET_AGGREGATOR_URL: setting url: "},
	} {
		s, _, err := load(t, "", "REPRONET_AGGREGATOR_URL="+c.url)
		if err != nil {
			t.Fatal(err)
		}
		if s.Config.URL != c.url {
			t.Errorf("URL = %q, want %q", s.Config.URL, c.url)
		}
		err = s.Validate()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), c.refused)) {
			t.Errorf("Validate with URL %q: %v, want %q", c.url, err, c.refused)
		}
	}
}

// TestSettings lays a file, variables and flags over the defaults.
func TestSettings(t *testing.T) {
	s, path, err := load(t, `# all that a file can give
listen: 127.0.0.1:1
origin: &name repro.example.org/2026
checkpoint_interval: 2s
libp2p:
  listen: [/ip4/0.0.0.0/tcp/4001, /ip4/0.0.0.0/udp/4001/quic-v1]
admit:
  trusted_root: root.json
  identities:
    - issuer: https://accounts.example.org
      subject: ^.*$
    - {issuer: https://other.example.org, subject: one, repository: https://git.example.org/a}
caches:
  - url: https://cache.example.org
witnesses:
`, "HOME=/root", "REPRONET_AGGREGATOR_LISTEN=127.0.0.1:2", "REPRONET_AGGREGATOR_MAP_INTERVAL=5m",
		"REPRONET_AGGREGATOR_SERVICE_HOST=10.0.0.1", "REPRONET_AGGREGATOR_PORT_8080_TCP_ADDR=10.0.0.1",
		"REPRONET_AGGREGATOR_LIBP2P_SERVICE_PORT_QUIC=4001", "REPRONET_AGGREGATOR_ADMIT_TRUSTED_ROOT=other.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("listen", "nonsense", "--listen"); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err == nil || err.Error() != `--listen: setting listen: "nonsense" is not HOST:PORT` {
		t.Errorf("Validate: %v", err)
	}
	if err := s.Set("libp2p.listen", "/a,/b", "--libp2p"); err != nil {
		t.Fatal(err)
	}
	want := aggregator.DefaultConfig()
	want.Listen, want.Origin, want.CheckpointInterval, want.MapInterval = "nonsense", "repro.example.org/2026", 2*time.Second, 5*time.Minute
	want.Libp2p.Listen = []string{"/a", "/b"}
	want.Admit = aggregator.Admit{TrustedRoot: "other.json", Identities: []aggregator.AdmitIdentity{
		{Issuer: "https://accounts.example.org", Subject: "^.*$"},
		{Issuer: "https://other.example.org", Subject: "one", Repository: "https://git.example.org/a"},
	}}
	want.Caches = []aggregator.Cache{{URL: "https://cache.example.org"}}
	if diff := cmp.Diff(want, s.Config); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.Config.Listen, s.Config.CheckpointInterval = "127.0.0.1:1", time.Millisecond
	if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), path+":4: setting checkpoint_interval: ") {
		t.Errorf("Validate: %v", err)
	}
}

// TestWrongSettings: what is wrong is named with its place, what to write instead, and no
// name of Go's.
func TestWrongSettings(t *testing.T) {
	for _, c := range []struct{ file, variable, want string }{
		{file: "listen: a:1\nlisen: b:2\n", want: `:2: there is no setting "lisen": want one of data, listen, url, `},
		{file: "libp2p:\n  lisn: []\n", want: `:2: there is no setting "libp2p.lisn": want one of listen`},
		{file: "caches:\n  - url: a\n    key: b\n", want: `:3: there is no setting "caches.key": want one of url`},
		{file: "\n\ncheckpoint_interval: often\n", want: `:3: setting checkpoint_interval: "often" is not a time such as 1s, 5m or 24h`},
		{file: "data: a\ndata: b\n", want: `:2: setting data is given in line 1 already`},
		{file: "data: [a]\n", want: `:1: setting data: want one value, not a list or a section`},
		{file: "caches: https://cache.example.org\n", want: `:1: setting caches: want a list, each item in a line that begins with '- '`},
		{file: "caches: [https://cache.example.org]\n", want: `:1: want lines of the form 'setting: value' here, for url`},
		{file: "- data\n", want: `:1: want lines of the form 'setting: value' here, for data, `},
		{file: "data: 'a\n", want: `: line 2: found unexpected end of stream`},
		{variable: "LISEN=a:1", want: "environment variable REPRONET_AGGREGATOR_LISEN is no setting: want REPRONET_AGGREGATOR_ and one of ADMIT_TRUSTED_ROOT, BUDGET_BUILDER, "},
		{variable: "CACHES=a", want: "environment variable REPRONET_AGGREGATOR_CACHES is no setting"},
		{variable: "MAP_INTERVAL=x", want: `environment variable REPRONET_AGGREGATOR_MAP_INTERVAL: setting map_interval: "x" is not a time`},
	} {
		var environment []string
		if c.variable != "" {
			environment = append(environment, "REPRONET_AGGREGATOR_"+c.variable)
		}
		_, path, err := load(t, c.file, environment...)
		if err == nil || !strings.HasPrefix(err.Error(), path+c.want) {
			t.Errorf("%q %s:\n got %v\nwant %s%s…", c.file, c.variable, err, path, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "aggregator.") && !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "time.Duration")) {
			t.Errorf("names a type of Go's: %v", err)
		}
	}
}

// TestBoundsOfStrangers reads what strangers may cost, and refuses what would bound nothing.
func TestBoundsOfStrangers(t *testing.T) {
	s, _, err := load(t, "budget:\n  open: 1GiB\n  network: 1048576\nproxies: [10.0.0.7, \"2001:db8::/64\"]\nmax_connections: 100\n", "REPRONET_AGGREGATOR_BUDGET_OPEN_BUILDER=5MiB")
	if err != nil {
		t.Fatal(err)
	}
	want := ingest.DefaultBudget()
	want.Open, want.Network, want.OpenBuilder = 1<<30, 1<<20, 5<<20
	if diff := cmp.Diff(want, s.Config.Budget); diff != "" || s.Config.MaxConnections != 100 || len(s.Config.Proxies) != 2 {
		t.Errorf("%+v (-want +got):\n%s", s.Config, diff)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	hook, _, err := load(t, "webhook: https://chat.example.org/hook?key=secret\n")
	if err == nil {
		err = hook.Validate()
	}
	if err != nil {
		t.Errorf("a webhook whose key is in the query: %v", err)
	}
	for file, want := range map[string]string{
		"budget:\n  open: much\n":        `:2: setting budget.open: "much" is not a number of bytes such as 1048576, 64MiB or 2GiB`,
		"budget:\n  opne: 1\n":           `:2: there is no setting "budget.opne": want one of total, builder, `,
		"max_connections: many\n":        `:1: setting max_connections: "many" is not a number`,
		"max_connections: 3\n":           `:1: setting max_connections: 3 are not enough`,
		"proxies: [proxy.example.org]\n": `:1: setting proxies: "proxy.example.org" is no address and no network`,
		"proxies: [0.0.0.0/0]\n":         `:1: setting proxies: 0.0.0.0/0 is everybody`,
		"webhook: chat.example.org\n":    `:1: setting webhook: "chat.example.org" is not an address`,
	} {
		s, path, err := load(t, file)
		if err == nil {
			err = s.Validate()
		}
		if err == nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

func TestShown(t *testing.T) {
	for address, want := range map[string]string{
		"": "", "http://a.example/x?y=1": "http://a.example/x?y=1", "http://alice@a.example": "http://alice@a.example",
		"clickhouse://alice:s3cret%2F&@a.example:9000/db?secure=true":   "clickhouse://alice:xxxxx@a.example:9000/db?secure=true",
		"clickhouse://a.example:9000/db?username=alice&password=s3cret": "clickhouse://a.example:9000/db?password=xxxxx&username=alice",
		"/ip4/192.0.2.1/tcp/4001":                                       "/ip4/192.0.2.1/tcp/4001",
	} {
		c := aggregator.Config{ClickHouse: address, Follow: address, Webhook: address, Caches: []aggregator.Cache{{URL: address}}}
		shown := c.Shown()
		for _, got := range []string{shown.ClickHouse, shown.Follow, shown.Webhook, shown.Caches[0].URL} {
			if got != want {
				t.Errorf("%s is shown as %s, want %s", address, got, want)
			}
		}
		if c.Caches[0].URL != address {
			t.Errorf("%s was changed to %s", address, c.Caches[0].URL)
		}
	}
}

// TestNotifySettings reads how people are told, and refuses what could tell nobody, or would
// send a password in the clear.
func TestNotifySettings(t *testing.T) {
	const smtp = "url: https://repro.example.org\nnotify:\n  smtp:\n    host: mail.example.org\n    from: repronet@repro.example.org\n"
	s, _, err := load(t, smtp+"    port: 2525\n", "REPRONET_AGGREGATOR_NOTIFY_SMTP_ENCRYPTION=tls", "REPRONET_AGGREGATOR_NOTIFY_DIGEST=30 5 * * *")
	if err == nil {
		err = s.Validate()
	}
	if want := (aggregator.Notify{Digest: "30 5 * * *", SMTP: aggregator.SMTP{Host: "mail.example.org", Port: 2525, Encryption: "tls", From: "repronet@repro.example.org"}}); err != nil || s.Config.Notify != want {
		t.Errorf("%+v, %v", s.Config.Notify, err)
	}
	for file, want := range map[string]string{
		smtp + "    encryption: ssl\n":                                     `:6: setting notify.smtp.encryption: "ssl" is neither starttls, tls nor none`,
		smtp + "    port: 70000\n":                                         `:6: setting notify.smtp.port: 70000 is not a port`,
		smtp + "    user: repronet\n":                                      `notify.smtp.password_file: want user and password_file, or neither`,
		smtp + "    user: a\n    password_file: b\n    encryption: none\n": `:8: setting notify.smtp.encryption: a password is not sent without encryption`,
		strings.Replace(smtp, "repronet@", "", 1):                          `:5: setting notify.smtp.from: "repro.example.org" is no mail address`,
		strings.Replace(smtp, "url: ", "#", 1):                             `url: mails have links`,
		strings.Replace(smtp, "host", "#host", 1):                          `notify.smtp.host: name the mail server`,
		"notify:\n  digest: daily\n":                                       `:2: setting notify.digest: `,
		"notify:\n  smpt: {}\n":                                            `:2: there is no setting "notify.smpt": want one of allow_private, digest, smtp`,
		"notify:\n  allow_private: maybe\n":                                `:2: setting notify.allow_private: "maybe" is neither true nor false`,
	} {
		s, path, err := load(t, file)
		if err == nil {
			err = s.Validate()
		}
		if err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), path), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	_, key, err := note.GenerateKey(rand.Reader, "repro.example.org/2026")
	if err != nil {
		t.Fatal(err)
	}
	follower := aggregator.DefaultConfig()
	follower.URL, follower.Notify = "https://repro.example.org", s.Config.Notify
	follower.Follow, follower.LogKey = "https://writer.example.org", key
	if err := follower.Validate(); err == nil || !strings.HasPrefix(err.Error(), "notify.smtp.host: it is for the server that writes the ledger") {
		t.Errorf("a follower that sends mail: %v", err)
	}
}
