package ecosystem_test

import (
	"testing"

	"repronet.dev/ecosystem"
)

// TestGuix has store items as Guix names them. Its daemon takes no leading dot.
func TestGuix(t *testing.T) {
	path := func(name string) string { return ecosystem.GuixStore + "gsgm077q7krn9i08n15lshsw28paim14-" + name }
	table := names{
		builds: []string{path("hello-2.12.1.drv"), path("guile-3.0.9.drv"), path("module-import-compiled.drv")},
		outputs: []parted{
			{path("gcc-11.3.0.drv") + "^lib", path("gcc-11.3.0.drv"), "lib"},
			{path("git-2.41.0.drv") + "^send-email", path("git-2.41.0.drv"), "send-email"},
		},
		refused: []string{
			path(".gitignore"), path("."), path(".."), path(".-x"), path("a b"), path("a^b"), path("x") + "^out", path("x.drv") + "^.lib", path("x.drv") + "^",
			"/nix/store/gsgm077q7krn9i08n15lshsw28paim14-hello-2.12.1", "/gnu/store/gsgm077q7krn9i08n15lshsw28paim1e-x", "/gnu/store/x", path("x") + "/bin/x",
		},
	}
	for _, name := range []string{
		"wfmash-0.5.0+96d4426-12", "nvidia-driver-495.46", "tcc-boot0-0.9.26-6.337acca", "emacs-next-29.0.50-1.0a5477b", "system", "gcc-11.3.0-lib", "gtk+-2.24.33", "icecat-115.5.0-guix0-preview1",
		"guix-1.4.0-16.aeb4943", "profile", "shepherd-guix-daemon.scm", "u-boot-rockpro64-rk3399-2023.07.02", "config.scm", "linux-libre-6.5.9", "git-2.41.0-checkout", "glibc-2.35.patch", "libstdc++-11.3.0",
		"ghc-8.10.7-builder", "texlive-20230313", "ca-certificate-bundle", "manual-database", "guix-package-cache", "python-3.10.7-tk", "x=1?y", "grub.cfg", "module-import", "_", "1+1",
	} {
		table.outputs = append(table.outputs, parted{key: path(name)})
	}
	table.check(t, ecosystem.Guix)
}
