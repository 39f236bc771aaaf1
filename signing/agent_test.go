package signing_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"repronet.dev/internal/needtest"
	"repronet.dev/signing"
)

// startAgent runs a real ssh-agent with keys, and points SSH_AUTH_SOCK to it.
func startAgent(t *testing.T, held ...agent.AddedKey) {
	t.Helper()
	program := needtest.Program(t, "ssh-agent", "openssh-client")
	socket := filepath.Join(t.TempDir(), "agent")
	process := exec.CommandContext(t.Context(), program, "-D", "-a", socket)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	for _, key := range held {
		if err := client.Add(key); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
}

func TestAgent(t *testing.T) {
	ed, p256 := newEd25519(t), newECDSA(t, elliptic.P256())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	startAgent(t,
		agent.AddedKey{PrivateKey: &ed, Comment: "ed"},
		agent.AddedKey{PrivateKey: p256, Comment: "nist"},
		agent.AddedKey{PrivateKey: rsaKey, Comment: "old"},
	)
	sshKey, err := ssh.NewPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, public := range map[string]crypto.PublicKey{
		"ed": ed.Public(), "nist": p256.Public(), ssh.FingerprintSHA256(sshKey): ed.Public(),
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := signing.LoadSigner("ssh-agent:" + name)
			if err != nil {
				t.Fatal(err)
			}
			checkSigns(t, signer, public)
			if err := signer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for name, want := range map[string]string{
		"":     "several keys of ssh-agent fit",
		"old":  "holds no Ed25519 or P-256 key",
		"none": `fits "none"`,
	} {
		if _, err := signing.LoadSigner("ssh-agent:" + name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", name, err, want)
		}
	}
}

func TestAgentOnlyKey(t *testing.T) {
	ed := newEd25519(t)
	startAgent(t, agent.AddedKey{PrivateKey: &ed})
	signer, err := signing.LoadSigner("ssh-agent:")
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, signer, ed.Public())
}

func TestNoAgent(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := signing.LoadSigner("ssh-agent:"); err == nil || !strings.Contains(err.Error(), "SSH_AUTH_SOCK is not set") {
		t.Errorf("error %v", err)
	}
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(t.TempDir(), "none"))
	if _, err := signing.LoadSigner("ssh-agent:"); err == nil || !strings.Contains(err.Error(), "reaching ssh-agent") {
		t.Errorf("error %v", err)
	}
}
