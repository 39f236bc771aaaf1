package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/admin"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
)

type count struct {
	From, To int
}

const (
	add      admin.Call[count, int]      = "sums/add"
	upper    admin.Call[admin.None, int] = "upper"
	unserved admin.Call[admin.None, int] = "unserved"
	wait     admin.Call[admin.None, int] = "wait"
)

// callers returns a service, and the same behind a socket.
func callers(t *testing.T, service *admin.Service) map[string]admin.Caller {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: admin.Handler(service)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	client, err := admin.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]admin.Caller{"here": service, "through a socket": client}
}

// TestCalls: a call does the same and fails the same here and through a socket.
func TestCalls(t *testing.T) {
	service := admin.NewService(
		add.By(func(_ context.Context, c count) (int, error) {
			switch {
			case c.To < 0:
				return 0, admin.Errorf(admin.Shrinks, "%d is below zero:\nis it complete?", c.To)
			case c.To > 100:
				return 0, fmt.Errorf("%w: 100 is the end", enrolment.ErrConflict)
			case c.From > c.To:
				return 0, errors.New("from is behind to")
			}
			return c.From + c.To, nil
		}),
		upper.ByWith(func(_ context.Context, _ admin.None, streams admin.Streams) (int, error) {
			fmt.Fprintln(streams.Progress, "reading")
			text, err := io.ReadAll(streams.Input)
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(streams.Progress, "read %d bytes\n", len(text))
			if bytes.Contains(text, []byte("no")) {
				return len(text), admin.Errorf(admin.Exists, "it has a no")
			}
			return len(text), nil
		}),
	)
	for name, to := range callers(t, service) {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				count
				want int
				kind admin.Kind
				text string
			}{
				{count: count{1, 2}, want: 3},
				{count: count{1, -2}, kind: admin.Shrinks, text: "-2 is below zero:\nis it complete?"},
				{count: count{1, 101}, kind: admin.Conflict, text: enrolment.ErrConflict.Error() + ": 100 is the end"},
				{count: count{2, 1}, kind: admin.Failed, text: "from is behind to"},
			} {
				got, err := add.Do(t.Context(), to, c.count)
				if c.kind == "" {
					if err != nil || got != c.want {
						t.Errorf("%v: %d, %v", c.count, got, err)
					}
					continue
				}
				if !errors.Is(err, c.kind) || err.Error() != c.text {
					t.Errorf("%v: error %q, want %q of kind %s", c.count, err, c.text, c.kind)
				}
			}
			if _, err := unserved.Do(t.Context(), to, admin.None{}); !errors.Is(err, admin.NotFound) {
				t.Errorf("a call that is not known: %v", err)
			}
			if _, err := admin.Call[int, int](add).Do(t.Context(), to, 3); !errors.Is(err, admin.Invalid) {
				t.Errorf("a request that cannot be read: %v", err)
			}
			var progress strings.Builder
			input := strings.Repeat("input\n", 100_000)
			n, err := upper.DoWith(t.Context(), to, admin.None{}, admin.Streams{Input: strings.NewReader(input), Progress: &progress})
			if err != nil || n != len(input) {
				t.Errorf("read %d, %v", n, err)
			}
			if diff := cmp.Diff(fmt.Sprintf("reading\nread %d bytes\n", len(input)), progress.String()); diff != "" {
				t.Errorf("progress (-want +got):\n%s", diff)
			}
			if _, err := upper.DoWith(t.Context(), to, admin.None{}, admin.Streams{Input: strings.NewReader("no")}); !errors.Is(err, admin.Exists) {
				t.Errorf("an error after progress: %v", err)
			}
		})
	}
}

// TestCancel: the end of a call's context ends its work.
func TestCancel(t *testing.T) {
	began := make(chan struct{}, 2)
	ended := make(chan struct{}, 2)
	service := admin.NewService(wait.By(func(ctx context.Context, _ admin.None) (int, error) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return 0, ctx.Err()
	}))
	for name, to := range callers(t, service) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-began; cancel() }()
		if _, err := wait.Do(ctx, to, admin.None{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		<-ended
	}
}

// TestServerIsGone: what an operator reads names no address that only the program knows.
func TestServerIsGone(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "sock")
	if _, err := admin.Dial(t.Context(), socket); !errors.Is(err, admin.ErrNoServer) {
		t.Errorf("no socket: %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	to, err := admin.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := add.Do(t.Context(), to, count{}); err == nil || !strings.Contains(err.Error(), "the server stopped before it answered") || strings.Contains(err.Error(), "http://") {
		t.Errorf("it hangs up: %v", err)
	}
	l.Close()
	if _, err := add.Do(t.Context(), to, count{}); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("it is gone: %v", err)
	}
}

func TestResolve(t *testing.T) {
	ids := []signing.BuilderID{"abcdefgh", "abcdzzzz"}
	for _, c := range []struct {
		text    string
		fitting []signing.BuilderID
		want    signing.BuilderID
		kind    admin.Kind
	}{
		{text: "abcde", fitting: ids[:1], want: ids[0]},
		{text: "abcd", fitting: ids, kind: admin.Ambiguous},
		{text: "abcx"},
		{text: "abc", fitting: ids[:1], kind: admin.Invalid},
		{text: "ABCD", kind: admin.Invalid},
		{text: strings.Repeat("a", 33), kind: admin.Invalid},
	} {
		got, err := admin.Resolve(c.text, c.fitting)
		if got != c.want || c.kind == "" && err != nil || c.kind != "" && !errors.Is(err, c.kind) {
			t.Errorf("%s: %q, %v; want %q, %s", c.text, got, err, c.want, c.kind)
		}
	}
	if _, err := admin.Resolve("abcd", ids); !strings.HasSuffix(err.Error(), "\n  abcdefgh\n  abcdzzzz") {
		t.Errorf("the candidates are not listed: %v", err)
	}
}
