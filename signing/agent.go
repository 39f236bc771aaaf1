package signing

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentSigner uses a key that stays in ssh-agent. The agent signs the data as
// the SSH protocol does, which for Ed25519 is the plain signature and for P-256
// the signature of the SHA-256 in another encoding.
func agentSigner(name string) (*Signer, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, errors.New("no ssh-agent: SSH_AUTH_SOCK is not set")
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("reaching ssh-agent: %w", err)
	}
	client := agent.NewClient(conn)
	key, public, err := findAgentKey(client, name)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	verified, err := NewPublicKey(public)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Signer{
		public: verified, close: conn.Close,
		sign: func(data []byte) ([]byte, error) {
			signature, err := client.Sign(key, data)
			if err != nil {
				return nil, fmt.Errorf("ssh-agent: %w", err)
			}
			return plainSignature(signature)
		},
	}, nil
}

func findAgentKey(client agent.Agent, name string) (*agent.Key, crypto.PublicKey, error) {
	keys, err := client.List()
	if err != nil {
		return nil, nil, fmt.Errorf("listing the keys of ssh-agent: %w", err)
	}
	var found *agent.Key
	var foundPublic crypto.PublicKey
	for _, key := range keys {
		public, ok := usableKey(key)
		if !ok || name != "" && name != key.Comment && name != ssh.FingerprintSHA256(key) {
			continue
		}
		if found != nil {
			return nil, nil, errors.New("several keys of ssh-agent fit: name one as ssh-agent:SHA256:… (ssh-add -l lists them)")
		}
		found, foundPublic = key, public
	}
	if found == nil {
		return nil, nil, fmt.Errorf("ssh-agent holds no Ed25519 or P-256 key that fits %q (ssh-add -l lists its keys)", name)
	}
	return found, foundPublic, nil
}

func usableKey(key *agent.Key) (crypto.PublicKey, bool) {
	if key.Type() != ssh.KeyAlgoED25519 && key.Type() != ssh.KeyAlgoECDSA256 {
		return nil, false
	}
	parsed, err := ssh.ParsePublicKey(key.Marshal())
	if err != nil {
		return nil, false
	}
	public, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return nil, false
	}
	return public.CryptoPublicKey(), true
}

func plainSignature(signature *ssh.Signature) ([]byte, error) {
	switch signature.Format {
	case ssh.KeyAlgoED25519:
		return signature.Blob, nil
	case ssh.KeyAlgoECDSA256:
		var rs struct{ R, S *big.Int }
		if err := ssh.Unmarshal(signature.Blob, &rs); err != nil {
			return nil, fmt.Errorf("reading the agent's signature: %w", err)
		}
		return asn1.Marshal(rs)
	default:
		return nil, fmt.Errorf("the agent signed with %q", signature.Format)
	}
}
