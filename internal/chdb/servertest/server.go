// Package servertest runs real ClickHouse servers for tests: processes of their own that serve
// ClickHouse's HTTP interface and its native protocol on loopback, with a configuration and users
// of their own.
//
//	server := servertest.Start(t)
//	conn, err := clickhouse.Open(server.Options(clickhouse.Native, database))
//
// The server is the library of the embedded engine, whose query_stable_v2 is the whole program
// clickhouse-local: its statement SYSTEM START LISTEN opens the ports of a server. It differs from
// one that is installed in that a client that resets a TCP connection ends it, and in that it has
// no interserver port, so that no replicas can be tried.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/needtest"
)

// The users of a server: who may do everything, and the aggregator's.
const (
	admin, adminPassword = "admin", "all"
	User, UserPassword   = "repronet", "s3cret/&"
)

// A Server is a process that can be stopped and started again.
type Server struct {
	dir, library string
	ports        map[clickhouse.Protocol]int

	process *os.Process
	ended   chan struct{} // closed when the process has
	running *os.File      // the process ends when this is closed, as it is when ours ends
	output  *tail
}

// Start starts a server in a new directory, which is stopped when the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	library, err := chdb.Find()
	if err != nil {
		needtest.Lacking(tb, err.Error())
	}
	s, err := New(tb.TempDir(), library)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// New starts a server in an empty directory.
func New(dir, library string) (*Server, error) {
	s := &Server{dir: dir, library: library, ports: map[clickhouse.Protocol]int{}}
	for _, protocol := range []clickhouse.Protocol{clickhouse.Native, clickhouse.HTTP} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s.ports[protocol] = port
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "config.xml"), []byte(s.config()), 0o600),
		s.Limit(""),
		syscall.Mkfifo(s.fifo(), 0o600),
	)
	if err != nil {
		return nil, err
	}
	return s, s.Restart()
}

// Options returns the options of a connection of the user to a database.
func (s *Server) Options(protocol clickhouse.Protocol, database string) *clickhouse.Options {
	return s.options(protocol, database, User, UserPassword)
}

// AdminOptions returns the options of a connection that may do everything.
func (s *Server) AdminOptions(protocol clickhouse.Protocol) *clickhouse.Options {
	return s.options(protocol, "", admin, adminPassword)
}

func (s *Server) options(protocol clickhouse.Protocol, database, user, password string) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: protocol, Addr: []string{s.Address(protocol)},
		Auth: clickhouse.Auth{Database: database, Username: user, Password: password},
	}
}

// Limit sets what the user is limited to, as XML of a settings profile
// ("<readonly>1</readonly>"), from the next start on.
func (s *Server) Limit(profile string) error {
	users, err := users(profile)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "users.xml"), []byte(users), 0o600)
}

// Address is the host and port at which a protocol is spoken.
func (s *Server) Address(protocol clickhouse.Protocol) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[protocol]))
}

// URL is how the aggregator's configuration names a database for the user.
func (s *Server) URL(protocol clickhouse.Protocol, database string) string {
	scheme := "http"
	if protocol == clickhouse.Native {
		scheme = "clickhouse"
	}
	u := url.URL{Scheme: scheme, User: url.UserPassword(User, UserPassword), Host: s.Address(protocol), Path: "/" + database}
	return u.String()
}

// Data is the directory of what the server stores.
func (s *Server) Data() string { return filepath.Join(s.dir, "data") }

// Restart starts a server that was stopped, and waits until it answers.
func (s *Server) Restart() error {
	s.output = &tail{}
	process := exec.Command("/proc/self/exe") // in which serve runs
	process.Env = append(os.Environ(), directoryEnv+"="+s.dir, libraryEnv+"="+s.library)
	process.Stdout, process.Stderr = s.output, s.output
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is not for it
	running, err := os.OpenFile(s.fifo(), os.O_RDWR, 0)       // which waits for no reader
	if err != nil {
		return err
	}
	s.running = running
	if err := process.Start(); err != nil {
		return err
	}
	s.process, s.ended = process.Process, make(chan struct{})
	ended := s.ended
	go func() {
		defer close(ended)
		_ = process.Wait() // its output says why
	}()
	for protocol := range s.ports {
		if err := s.wait(protocol); err != nil {
			return errors.Join(err, s.Stop())
		}
	}
	return nil
}

// wait returns when the server answers over a protocol.
func (s *Server) wait(protocol clickhouse.Protocol) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := clickhouse.Open(s.AdminOptions(protocol))
	if err != nil {
		return err
	}
	defer conn.Close()
	for err = conn.Ping(ctx); err != nil; err = conn.Ping(ctx) {
		select {
		case <-s.ended:
			return fmt.Errorf("the ClickHouse server did not start: %s", s.output)
		case <-ctx.Done():
			return fmt.Errorf("the ClickHouse server does not answer over %s: %w\n%s", protocol, err, s.output)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Stop ends the server as a machine does that fails: at once.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = fmt.Errorf("the ClickHouse server ended by itself: %s", s.output)
	}
	<-s.ended
	s.process = nil
	return errors.Join(err, s.running.Close())
}

// Pause has the server answer nothing, until what it returns is called.
func (s *Server) Pause() (resume func() error, err error) {
	process := s.process
	return func() error { return process.Signal(syscall.SIGCONT) }, process.Signal(syscall.SIGSTOP)
}

func (s *Server) fifo() string { return filepath.Join(s.dir, "running") }

func (s *Server) config() string {
	return fmt.Sprintf(`<clickhouse>
	<listen_host>127.0.0.1</listen_host>
	<tcp_port>%d</tcp_port>
	<http_port>%d</http_port>
	<users_config>%[3]s/users.xml</users_config>
	<max_server_memory_usage>4294967296</max_server_memory_usage>
	<mark_cache_size>67108864</mark_cache_size>
	<backups><allowed_path>%[3]s/data/backups</allowed_path></backups>
	<logger><level>warning</level></logger>
</clickhouse>
`, s.ports[clickhouse.Native], s.ports[clickhouse.HTTP], s.dir)
}

// users makes those of a server: the aggregator's with the rights that docs/operators.md has an
// administrator grant, and with the same on databases of tests. The program has no place in which
// statements such as CREATE USER could store one.
func users(profile string) (string, error) {
	text, err := os.ReadFile(filepath.Join(needtest.Checkout(), "docs", "operators.md"))
	if err != nil {
		return "", err
	}
	var grants strings.Builder
	for _, found := range regexp.MustCompile(`(?m)^    (GRANT .*) TO `+User+`;$`).FindAllStringSubmatch(string(text), -1) {
		for _, granted := range []string{found[1], strings.ReplaceAll(found[1], "repronet*.*", "test*.*")} {
			grants.WriteString("<query>" + granted + "</query>")
		}
	}
	if grants.Len() == 0 {
		return "", errors.New("docs/operators.md does not say what the aggregator's user may do")
	}
	const user = "\t\t<%s><password><![CDATA[%s]]></password><networks><ip>127.0.0.1</ip></networks>%s</%[1]s>\n"
	return "<clickhouse>\n\t<profiles><default/><limited>" + profile + "</limited></profiles>\n\t<quotas><default/></quotas>\n\t<users>\n" +
		"\t\t<default><no_password/><networks><ip>::/0</ip></networks></default><!-- who starts the server -->\n" +
		fmt.Sprintf(user, admin, adminPassword, "<access_management>1</access_management>") +
		fmt.Sprintf(user, User, UserPassword, "<profile>limited</profile><grants>"+grants.String()+"</grants>") +
		"\t</users>\n</clickhouse>\n", nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 1 << 16
	if t.text.Len()+len(data) > most {
		t.text.Reset()
	}
	return t.text.Write(data)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
