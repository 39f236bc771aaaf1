package ecosystem_test

import (
	"testing"

	"repronet.dev/ecosystem"
)

// TestRelease has rows of published checksum documents below a project's name.
func TestRelease(t *testing.T) {
	table := names{builds: []string{"bitcoin-core", "bitcoin-core/23.0", "R&D tools"}, refused: []string{"p/ x", "p/x ", "p /x", "p/a<b", "p/$HOME", "p/a\\b", "p/\u00e9", "p/a:\"b\"", "p/../x", "p/a`b"}}
	for _, file := range []string{
		"bitcoin-22.0-aarch64-linux-gnu-debug.tar.gz", "aarch64-linux-gnu/bitcoin-22.0rc1-aarch64-linux-gnu.tar.gz", "x86_64-w64-mingw32/bitcoin-22.0rc2-win64.zip", "bitcoin-22.0-win64-setup-unsigned.exe",
		"rows d (x64).msi", "Bitcoin Core.app.zip", "tor-browser-linux-x86_64-13.0.tar.xz", "electrum-4.5.0.AppImage", "xnnpack-0.0^git20240814.312eb7e-1.fc41.x86_64.rpm", "dbus-1:1.14.10-2-x86_64.pkg.tar.zst",
		"hello_2.10-3~bpo12+1_amd64.deb", "foo%20bar.zip", "Setup[1].exe", "AT&T,v2=final.tgz", "it's.txt", "100%.bin", "a;b", "C#.zip", "{0}.iso", "README!", "1.0/alice/noncodesigned.SHA256SUMS", "_", "-x", "~x", ".dotfile",
	} {
		table.outputs = append(table.outputs, parted{key: "project/" + file})
	}
	table.check(t, ecosystem.Release)
	if err := ecosystem.Of(ecosystem.Release).CheckOutput("README"); err == nil {
		t.Error("a file without a project is taken")
	}
	if key := ecosystem.Of(ecosystem.Release).Key("bitcoin-core", "x.zip"); key != "bitcoin-core/x.zip" {
		t.Errorf("a file of bitcoin-core has the key %s", key)
	}
}
