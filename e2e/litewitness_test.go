//go:build long

package e2e

import (
	"bufio"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the witness keeps its logs in a database

	"repronet.dev/ledger"
	"repronet.dev/ledger/writer"
)

// litewitnessEnv names the program of another project that is a witness
// (filippo.io/torchwood/cmd/litewitness).
const litewitnessEnv = "REPRONET_LITEWITNESS"

// TestIndependentWitness has a ledger cosigned by a witness that has nothing of this
// project in it.
func TestIndependentWitness(t *testing.T) {
	program := os.Getenv(litewitnessEnv)
	if program == "" {
		t.Fatalf("%s names no litewitness: run make test-witness", litewitnessEnv)
	}
	dir, err := os.MkdirTemp("", "lw") //nolint:usetesting // an agent's socket has a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	key, err := writer.LoadOrCreateKey(filepath.Join(dir, "log.key"), "repro.example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	witness, url := startLitewitness(t, program, dir, key)
	witnesses, err := ledger.NewWitnesses([]string{witness}, 1)
	if err != nil {
		t.Fatal(err)
	}
	policy := fmt.Appendf(nil, "witness w %s %s\nquorum w\n", witness, url)
	for _, history := range []struct {
		name string
		want error
	}{{"mine", nil}, {"another history", ledger.ErrNotCosigned}} {
		log, err := writer.Open(t.Context(), writer.Config{
			Dir: filepath.Join(dir, history.name), Key: key, CheckpointInterval: 200 * time.Millisecond, Witnesses: policy,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			index, err := log.Append(t.Context(), "filler", fmt.Appendf(nil, "%s %d", history.name, i))
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := log.Receipt(t.Context(), index)
			if err != nil {
				t.Fatal(err)
			}
			c, err := ledger.OpenCheckpoint([]byte(receipt.Checkpoint), key.Verifier())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := witnesses.Check(c); !errors.Is(err, history.want) {
				t.Errorf("%s, %d entries: %v, want %v\n%s", history.name, c.Size, err, history.want, c.Text)
			}
		}
		if err := log.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// startLitewitness returns the key and the address of a litewitness of a log.
func startLitewitness(t *testing.T, program, dir string, log *writer.Key) (vkey, url string) {
	t.Helper()
	run := func(name string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, args...)
		command.Env = append(os.Environ(), "SSH_AUTH_SOCK="+filepath.Join(dir, "agent"))
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key"))
	startProgram(t, exec.Command("ssh-agent", "-D", "-a", filepath.Join(dir, "agent")))
	waitFor(t, "unix", filepath.Join(dir, "agent"))
	run("ssh-add", "-q", filepath.Join(dir, "key"))
	fingerprint := strings.Fields(run("ssh-keygen", "-lf", filepath.Join(dir, "key")))[1]

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "litewitness.db")
	knowLog(t, database, log)
	command := exec.Command(program, "-name", "litewitness.example.org", "-db", database,
		"-ssh-agent", filepath.Join(dir, "agent"), "-listen", address, "-key", fingerprint)
	messages, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProgram(t, command)
	lines := bufio.NewScanner(messages)
	for pattern := regexp.MustCompile(`vkey="?(\S+?)"?$`); vkey == ""; {
		if !lines.Scan() {
			t.Fatal("litewitness ended")
		}
		if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
			vkey = found[1]
		}
	}
	go func() {
		for lines.Scan() { // so that it does not wait for a reader
		}
	}()
	waitFor(t, "tcp", address)
	return vkey, "http://" + address
}

// knowLog does what witnessctl add-log and add-key do.
func knowLog(t *testing.T, database string, log *writer.Key) {
	t.Helper()
	db, err := sql.Open("sqlite", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	empty := sha256.Sum256(nil)
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{"CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)", nil},
		{"CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))", nil},
		{"INSERT INTO log VALUES (?, 0, ?)", []any{log.Name(), base64.StdEncoding.EncodeToString(empty[:])}},
		{"INSERT INTO key VALUES (?, ?)", []any{log.Name(), log.String()}},
	} {
		if _, err := db.ExecContext(t.Context(), statement.sql, statement.args...); err != nil {
			t.Fatal(err)
		}
	}
}

func waitFor(t *testing.T, network, address string) {
	t.Helper()
	for range 200 {
		if c, err := (&net.Dialer{}).DialContext(t.Context(), network, address); err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nobody listens at %s", address)
}
