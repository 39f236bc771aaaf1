package attestation_test

import (
	"strings"
	"testing"

	"repronet.dev/attestation"
)

func TestValidateOutput(t *testing.T) {
	base := "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-"
	for _, test := range []struct{ ecosystem, key, want string }{
		{"nix", hello, ""},
		{"nix", base + "a?b=c", ""},
		{"nix", base + strings.Repeat("a", 211), ""},
		{"nix", helloDrv + "^out", ""},
		{"nix", base + ".hidden", ""},
		{"guix", strings.Replace(hello, "/nix/", "/gnu/", 1), ""},
		{"arch", "ffmpeg@2:7.1-5/x86_64^ffmpeg-2:7.1-5-x86_64.pkg.tar.zst", ""},
		{"fedora", "a@1^git1-1/x86_64^a-1^git1-1.x86_64.rpm", ""},
		{"release", "p/Setup (x64).msi", ""},
		{"generic", "p/" + strings.Repeat("f", 510) + "^" + strings.Repeat("o", 255), ""},
		{"debian", "hello@2.10-3/amd64^linux-image-6.12.9+bpo-cloud-amd64-dbg_6.12.9-1~bpo12+1_amd64.deb", ""},
		{"generic", "bitcoin-core/bitcoin-23.0-aarch64-linux-gnu.tar.gz", ""},
		{"go", "golang.org/x/tools/gopls@v0.16.0/linux-amd64^gopls", ""},

		{"nix", base + strings.Repeat("a", 212), "an output of nix is named by its store path"},
		{"nix", "/gnu" + hello[4:], "an output of nix is named by its store path"},
		{"nix", "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmd", "store path"},
		{"nix", strings.Replace(hello, "0c7q", "0c7e", 1), "store path"}, // e is not in Nix's base 32
		{"nix", base, "store path"},
		{"nix", hello + "/bin/hello", "store path"},
		{"nix", hello + "\n", "store path"},
		{"nix", hello + "^out", "named by its derivation's store path"},
		{"nix", helloDrv + "^", "is not an output's name"},
		{"nix", helloDrv + "^out^dev", "is not an output's name"},
		{"nix", helloDrv + "^../x", "is not an output's name"},
		{"guix", hello, "an output of guix is named by its store path, /gnu/store/<hash>-<name>"},

		{"generic", "", "named as <build>^<output>, or as <project>/<file>"},
		{"generic", "file", "named as <build>^<output>, or as <project>/<file>"},
		{"generic", "p/" + strings.Repeat("f", 511), "longer than 512 bytes"},
		{"generic", "Project/file", "begins with the operator that defines it"},
		{"generic", "p/" + strings.Repeat("f", 511) + "^o", "longer than 512 bytes"},
		{"generic", "p/f^" + strings.Repeat("o", 256), "is not an output's name"},
		{"nix", base + "..-x", "store path"},
		{"generic", "/etc/passwd", `an empty, "." or ".." path segment`},
		{"generic", "p/../../etc/passwd", `".." path segment`},
		{"generic", "p/./f", `path segment`},
		{"generic", "p//f", `path segment`},
		{"generic", "p/", `path segment`},
		{"generic", "p/<script>alert(1)</script>", `it contains '<'`},
		{"generic", "p/a b", `it contains ' '`},
		{"generic", "p/a\x00", `it contains '\x00'`},
		{"generic", "p/a\x1b[2J", `it contains '\x1b'`},
		{"generic", "p/a\r\n", `it contains '\r'`},
		{"generic", "p/%2e%2e", `it contains '%'`},
		{"generic", "p/a?b", `it contains '?'`},
		{"generic", "p/a&b", `it contains '&'`},
		{"generic", `p/a"b`, `it contains '"'`},
		{"generic", `p\f/x`, `it contains '\\'`},
		{"generic", "p/\u0430", `it contains 'а'`}, // Cyrillic
		{"generic", "p/a\u202e", `it contains '\u202e'`},
	} {
		t.Run(test.ecosystem+" "+test.key, func(t *testing.T) {
			err := attestation.ValidateOutput(test.ecosystem, test.key)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want)
			}
		})
	}
}

func TestValidateBuild(t *testing.T) {
	for _, test := range []struct{ ecosystem, name, want string }{
		{"nix", helloDrv, ""},
		{"guix", strings.Replace(helloDrv, "/nix/", "/gnu/", 1), ""},
		{"debian", "hello@2.10-3/amd64", ""},
		{"generic", "alice/tool", ""},
		{"nix", hello, "a build of nix is named by its derivation's store path, /nix/store/<hash>-<name>.drv"},
		{"guix", helloDrv, "a build of guix is named"},
		{"generic", "tool", "<operator>/<name>"},
		{"debian", "", "it is empty"},
		{"debian", "a\u2028b", `it contains '\u2028'`},
		{"debian", "../x", "path segment"},
	} {
		t.Run(test.ecosystem+" "+test.name, func(t *testing.T) {
			err := attestation.ValidateBuild(test.ecosystem, test.name)
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				wantError(t, err, test.want)
			}
		})
	}
}

// TestOutputID pins the value, which other implementations compute too.
func TestOutputID(t *testing.T) {
	const want = "c915ecd0" // first bytes of printf 'nix\0/nix/store/…' | sha256sum
	id := attestation.NewOutputID("nix", hello)
	if got := attestation.Digest(append(id[:], make([]byte, 12)...)).Hex()[:8]; got != want {
		t.Errorf("ID begins with %s, want %s", got, want)
	}
	if id == attestation.NewOutputID("nix/", hello[1:]) {
		t.Error("ecosystem and key run into each other")
	}
}
