package p2p

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func listenOnce(t *testing.T, keyFile string) []string {
	t.Helper()
	l, err := Listen(t.Context(), Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	defer wait(t, l)
	defer l.Close()
	return l.Addrs()
}

func TestIdentityIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	var ids []string
	for range 2 {
		addrs := listenOnce(t, file)
		_, id, ok := strings.Cut(addrs[0], "/p2p/")
		if !ok || len(addrs) != 1 {
			t.Fatalf("addresses %q", addrs)
		}
		ids = append(ids, id)
	}
	if diff := cmp.Diff(ids[0], ids[1]); diff != "" {
		t.Errorf("the peer ID changed (-first +second):\n%s", diff)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("files beside the key: %v, %v", entries, err)
	}
}

func TestBadIdentity(t *testing.T) {
	good := filepath.Join(t.TempDir(), "key")
	listenOnce(t, good)
	key, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		content []byte
		mode    fs.FileMode
		want    string
	}{
		"empty":     {content: []byte{}, mode: 0o600, want: "is damaged"},
		"cut":       {content: key[:len(key)-1], mode: 0o600, want: "is damaged"},
		"readable":  {content: key, mode: 0o644, want: "chmod 600"},
		"no folder": {want: "making libp2p key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "folder", "key")
			if tt.content != nil {
				if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, tt.content, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Listen(t.Context(), Config{Listen: testListen, KeyFile: file})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if after, err := os.ReadFile(file); tt.content != nil && (err != nil || !bytes.Equal(after, tt.content)) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"no address":   {Config{}, "no address to listen on"},
		"no multiaddr": {Config{Listen: []string{"127.0.0.1:4001"}}, `"127.0.0.1:4001"`},
		"transport":    {Config{Listen: []string{"/ip4/127.0.0.1/udp/0"}}, "listening on /ip4/127.0.0.1/udp/0"},
		"one of two":   {Config{Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/192.0.2.1/tcp/0"}}, "listening on /ip4/192.0.2.1/tcp/0"},
		"limit":        {Config{Listen: testListen, MaxConns: -1}, "negative"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.cfg.KeyFile = filepath.Join(t.TempDir(), "key")
			_, err := Listen(t.Context(), tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
