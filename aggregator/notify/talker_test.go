package notify

import (
	"net"
	"testing"
)

// A talker takes connections, says something and reads nothing.
type talkerAt struct {
	Host string
	Port int
}

func talker(t *testing.T, text string) talkerAt {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(text))
			conn.Close()
		}
	}()
	at := l.Addr().(*net.TCPAddr)
	return talkerAt{at.IP.String(), at.Port}
}
