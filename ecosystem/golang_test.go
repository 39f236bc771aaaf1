package ecosystem_test

import (
	"testing"

	"repronet.dev/ecosystem"
)

// TestGo has module paths and versions as go.sum files have them.
func TestGo(t *testing.T) {
	table := names{
		builds: []string{
			"golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", "github.com/BurntSushi/toml/cmd/tomlv@v1.4.0", "github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.21.1",
			"github.com/AdamKorcz/go-fuzz-headers-1@v0.0.0-20230919221257-8b5d3ce2d11d", "filippo.io/bigmod@v0.1.1-0.20260103110540-f8a47775ebe5", "github.com/blang/semver@v3.5.1+incompatible",
			"github.com/ClickHouse/clickhouse-go/v2@v2.50.0", "gopkg.in/yaml.v3@v3.0.1", "go.yaml.in/yaml/v3@v3.0.5", "software.sslmate.com/src/go-pkcs12@v0.4.0", "git.sr.ht/~sircmpwn/aerc@v0.0.0-20240101000000-abcdefabcdef",
			"github.com/docker/docker@v27.3.1+incompatible/darwin-arm64", "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.16.5", "k8s.io/kubernetes/cmd/kubectl@v1.32.0-rc.1", "example.com:8443/x@v1.0.0", "std",
		},
		outputs: []parted{
			{"golang.org/x/tools/gopls@v0.16.0/linux-amd64^gopls", "golang.org/x/tools/gopls@v0.16.0/linux-amd64", "gopls"},
			{"golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64^zip", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", "zip"},
			{"github.com/BurntSushi/toml/cmd/tomlv@v1.4.0/windows-amd64^tomlv.exe", "github.com/BurntSushi/toml/cmd/tomlv@v1.4.0/windows-amd64", "tomlv.exe"},
			{"github.com/blang/semver@v3.5.1+incompatible^semver", "github.com/blang/semver@v3.5.1+incompatible", "semver"},
			{"golang.org/dl/go1.26.8.linux-amd64.tar.gz", "", ""},
		},
		// The escaped form is that of module proxies and caches.
		refused: []string{"github.com/!burnt!sushi/toml@v1.4.0", "github.com/x/y@v1?go-get=1", "golang.org/x/tools@v0.1.0^", "./cmd/x@v1", "x@v1 "},
	}
	table.check(t, ecosystem.Go)
}
