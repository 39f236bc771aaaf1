package chdbtest

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"repronet.dev/internal/chdb"
	"repronet.dev/internal/chdb/servertest"
	"repronet.dev/internal/needtest"
)

// protocolEnv has the tests' databases be those of a server.
const protocolEnv = "REPRONET_TEST_CLICKHOUSE"

// serving is a server with what has to live as long as it: the pipe to its janitor.
type serving struct {
	*servertest.Server

	janitor io.WriteCloser
}

var sharedServer = sync.OnceValues(func() (serving, error) {
	library, err := chdb.Find()
	if err != nil {
		return serving{}, err
	}
	directory, janitor, err := temporary()
	if err != nil {
		return serving{}, err
	}
	server, err := servertest.New(directory, library)
	return serving{server, janitor}, err
})

// Server returns the ClickHouse server of this test process, which ends with it.
func Server(t testing.TB) *servertest.Server {
	t.Helper()
	server, err := sharedServer()
	switch {
	case errors.Is(err, chdb.ErrNoLibrary), errors.Is(err, chdb.ErrUnsupported):
		needtest.Lacking(t, err.Error())
	case err != nil:
		t.Fatalf("starting a ClickHouse server for tests: %v", err)
	}
	return server.Server
}

// Own returns a server that is this test's alone, to be killed, and the protocol in which it is
// spoken to; nil where tests' databases are those of an embedded engine.
func Own(t testing.TB) (*servertest.Server, clickhouse.Protocol) {
	t.Helper()
	protocol, served := served(t)
	if !served {
		return nil, 0
	}
	return servertest.Start(t), protocol
}
