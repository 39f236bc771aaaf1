package p2p

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRequests sends bodies of 1 kB and reads answers of 1 kB, 16 at a
// time; client and server share the processors.
func BenchmarkRequests(b *testing.B) {
	answer := strings.Repeat("x", 1000)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, answer)
	})}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, addrs := startServer(b, server)
	go server.Serve(plain)
	b.Run("http", func(b *testing.B) {
		benchmarkRequests(b, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}, "http://"+plain.Addr().String())
	})
	for _, name := range []string{"tcp", "quic"} {
		b.Run(name, func(b *testing.B) {
			client, transport := newClient(b, addrs[name])
			transport.http.MaxIdleConnsPerHost = 16
			benchmarkRequests(b, client, transport.BaseURL())
		})
	}
}

func benchmarkRequests(b *testing.B, client *http.Client, url string) {
	defer client.CloseIdleConnections()
	body := make([]byte, 1000)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := post(context.Background(), client, url, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
