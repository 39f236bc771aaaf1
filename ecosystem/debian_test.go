package ecosystem_test

import (
	"testing"

	"repronet.dev/ecosystem"
)

// TestDebian has sources, versions and files of bookworm's archive.
func TestDebian(t *testing.T) {
	built := func(build string, files ...string) (outputs []parted) {
		for _, f := range files {
			outputs = append(outputs, parted{build + "^" + f, build, f})
		}
		return outputs
	}
	table := names{
		builds: []string{
			"hello@2.10-3/amd64", "vim@2:9.0.1378-2/amd64", "xorg-server@2:21.1.7-3+deb12u13/amd64", "android-platform-art@1:10.0.0+r36-4+b1/amd64", "kde-cli-tools@4:5.27.5-1/arm64",
			"acorn@8.8.1+ds+~cs25.17.7-2/all", "argon2@0~20171227-0.3+deb12u1/amd64", "aewm++-goodies@1.0-10.1/amd64", "gtk+3.0@3.24.38-2~deb12u3/i386", "0ad@0.0.26-3/amd64",
			"libsigc++-2.0@2.12.0-1/amd64", "twitter-bootstrap3@3.4.1+dfsg-3+deb12u2/all", "linux@6.1.99-1~bpo11+1/kfreebsd-amd64", "base-files@12.4+deb12u13/mips64el", "a@1",
		},
		refused: []string{"hello@2.10-3/amd64^", "hello 2.10", "hello@2.10-3/", "hello@2.10-3/amd64^a/b%3a", "hello_1%3a2.0-1_amd64.deb"},
	}
	table.outputs = append(table.outputs, built("acorn@8.8.1+ds+~cs25.17.7-2/all", "node-acorn_8.8.1+ds+~cs25.17.7-2_all.deb", "node-debbundle-acorn_8.8.1+ds+~cs25.17.7-2_all.deb")...)
	table.outputs = append(table.outputs, built("acme@1:0.97~svn20211115+ds-1+b1/amd64", "acme_0.97~svn20211115+ds-1+b1_amd64.deb", "acme-dbgsym_0.97~svn20211115+ds-1+b1_amd64.deb")...)
	table.outputs = append(table.outputs, built("aewm++@1.1.2-5.3/amd64", "aewm++_1.1.2-5.3_amd64.deb")...)
	table.outputs = append(table.outputs, built("twitter-bootstrap3@3.4.1+dfsg-3+deb12u2/all", "fonts-glyphicons-halflings_1.009~3.4.1+dfsg-3+deb12u2_all.deb")...)
	table.outputs = append(table.outputs, built("linux@6.12.9-1~bpo12+1/amd64", "linux-image-6.12.9+bpo-cloud-amd64-dbg_6.12.9-1~bpo12+1_amd64.deb", "ext4-modules-6.1.0-18-amd64-di_6.1.76-1_amd64.udeb")...)
	table.outputs = append(table.outputs, parted{key: "debian/pool/main/a/afl++_4.04c-4_amd64.deb"})
	table.check(t, ecosystem.Debian)
}
