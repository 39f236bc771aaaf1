package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"repronet.dev/e2e/network"
	"repronet.dev/ledger"
	"repronet.dev/reporter/spool"
)

// chapter returns the commands that a chapter of docs/operators.md shows.
func chapter(t *testing.T, title string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n**"+title+".** ")
	body, _, _ := strings.Cut(rest, "\n\n**")
	var commands []string
	for line := range strings.Lines(body) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	if !found || len(commands) == 0 {
		t.Fatalf("operators.md has no commands under %q", title)
	}
	return commands
}

// An administrator does what docs/operators.md says to a server. Its paths and addresses
// are put in the place of the document's, and a supervisor's commands are carried out.
type administrator struct {
	*server
	dir string // of backups and programs
}

// follow runs the commands of a chapter, each of which has to succeed, and returns what
// the last one said.
func (a *administrator) follow(t *testing.T, title string) (said string) {
	t.Helper()
	bin := filepath.Join(a.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	replace := strings.NewReplacer(
		"/var/lib/repronet-aggregator", a.Data,
		"/backup/", a.dir+"/",
		"/tmp/", a.dir+"/",
		"/usr/local/bin/", bin+"/",
		" bin/", " "+string(programs())+"/",
		"https://repro.example.org", a.URL,
	)
	for _, command := range chapter(t, title) {
		var err error
		switch command {
		case "systemctl stop repronet-aggregator":
			err = a.Stop()
		case "systemctl start repronet-aggregator":
			err = a.restart(t.Context())
		default:
			said, err = a.shell(t, bin, replace.Replace(command))
		}
		if err != nil {
			t.Fatalf("%s: %s: %v: %s", title, command, err, said)
		}
	}
	return said
}

func (a *administrator) shell(t *testing.T, bin, command string) (string, error) {
	run := exec.CommandContext(t.Context(), "sh", "-c", command)
	run.Env = append(os.Environ(),
		"PATH="+bin+":"+string(programs())+":"+os.Getenv("PATH"),
		"HOME="+a.dir, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=",
		"REPRONET_AGGREGATOR_DATA="+a.Data, "REPRONET_AGGREGATOR_LISTEN="+strings.TrimPrefix(a.URL, "http://"))
	text, err := run.CombinedOutput()
	return string(text), err
}

// volunteers are two operators whose reporters run.
type volunteers struct {
	t         *testing.T
	artefact  string
	reporters []*network.Reporter
}

// build has both build an output, and returns its key.
func (v *volunteers) build(n int) string {
	v.t.Helper()
	name := fmt.Sprintf("example.org/tool@v1.0.%d", n)
	for _, r := range v.reporters {
		if err := r.Attest(v.t.Context(), "--ecosystem", "go", "--build", name, "--output", "bin="+v.artefact); err != nil {
			v.t.Fatal(err)
		}
	}
	return name + "^bin"
}

// until waits until something holds of the status of each reporter.
func (v *volunteers) until(what string, holds func(*spool.Status) bool) {
	v.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for _, r := range v.reporters {
		for {
			status, err := r.Status(v.t.Context())
			if err != nil {
				v.t.Fatal(err)
			}
			if holds(status) {
				break
			}
			if time.Now().After(deadline) {
				v.t.Fatalf("%s of %s: %+v", what, r.Operator, status)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func delivered(statements uint64) func(*spool.Status) bool {
	return func(s *spool.Status) bool {
		return s.Waiting == 0 && s.Outbox == 0 && s.Acknowledged.Statements == statements
	}
}

// TestRestore follows the chapter on restoring with yesterday's copy of the data
// directory, while reporters run. They notice, keep the proof, and submit again, without
// anybody asking; a checker finds everything. Then it follows the one on upgrading.
func TestRestore(t *testing.T) {
	t.Parallel()
	s := startAggregator(t)
	a := &administrator{server: s, dir: t.TempDir()}
	v := &volunteers{t: t, artefact: filepath.Join(a.dir, "artefact")}
	if err := os.WriteFile(v.artefact, []byte("the same bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	defer stop()
	for operator, audience := range map[string][]string{
		"alice": {"--report", "all"}, "bob": {"--report", "all", "--audience", "ledger"},
	} {
		r, err := network.NewReporter(t.Context(), s.Aggregator, filepath.Join(t.TempDir(), operator), operator, s.URL, audience...)
		if err != nil {
			t.Fatal(err)
		}
		running, err := r.Run(ctx, messages(t, operator), "--interval", "100ms")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := running.Kill(); err != nil {
				t.Error(err)
			}
		})
		v.reporters = append(v.reporters, r)
	}
	keys := []string{v.build(0)}
	v.until("the first build", delivered(1))

	a.follow(t, "Backing up")
	for n := 1; n <= 3; n++ {
		keys = append(keys, v.build(n))
		v.until("a build after the backup", delivered(uint64(n+1)))
	}

	if said := a.follow(t, "Restoring"); !strings.Contains(said, "identical: ") {
		t.Errorf("replay says %s", said)
	}
	v.until("what was noticed", func(s *spool.Status) bool {
		return len(s.Problems) > 0 && delivered(4)(s)
	})
	keys = append(keys, v.build(4))
	v.until("the proof", func(s *spool.Status) bool { return len(s.Convictions) > 0 && delivered(5)(s) })
	found(t, s, v, keys)
	convicted(t, s, v)

	if err := os.RemoveAll(filepath.Join(a.dir, "repronet-aggregator")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(a.dir, ".config")); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(s.Data, ".tmp-of-a-key")
	if err := os.WriteFile(left, []byte("a private key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := a.follow(t, "Upgrading"); !strings.Contains(said, "identical: ") {
		t.Errorf("replay says %s", said)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a write that was cut off left behind is still there (%v)", err)
	}
}

// found looks for everything that was acknowledged, as a user who comes now.
func found(t *testing.T, s *server, v *volunteers, keys []string) {
	t.Helper()
	indexed(t, s.URL)
	c := newChecker(t)
	c.run(t, 0, "pin", "--yes", "--aggregator", s.URL)
	for _, key := range keys {
		c.output(t, 0, key)
	}
	for _, r := range v.reporters {
		status, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again := regexp.MustCompile(`[0-9]+ statements are sent again`)
		if got := again.FindString(status.Problems[0].Message); got != "3 statements are sent again" {
			t.Errorf("%s says %q", r.Operator, status.Problems[0].Message)
		}
	}
}

// convicted checks the proofs that the reporters kept.
func convicted(t *testing.T, s *server, v *volunteers) {
	t.Helper()
	key := logKey(t, s.URL)
	for _, r := range v.reporters {
		status, err := r.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range status.Convictions {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var proof ledger.Conviction
			if err := json.Unmarshal(text, &proof); err != nil {
				t.Fatal(err)
			}
			if err := proof.Verify(key); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
