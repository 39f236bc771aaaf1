package ecosystem_test

import (
	"testing"

	"repronet.dev/ecosystem"
)

// TestArch has packages of Arch Linux, whose files keep the epoch, and of MSYS2,
// which builds with makepkg as well.
func TestArch(t *testing.T) {
	table := names{
		builds: []string{
			"ffmpeg@2:7.1-5/x86_64", "pipewire@1:1.2.7-1/x86_64", "gcc@14.2.1+r134+gab884fffe3fc-2/x86_64", "libc++@18.1.8-1/x86_64", "python-pytest@1:8.3.3-1/any", "db5.3@5.3.28-5/x86_64",
			"lib32-gcc-libs@14.2.1+r134+gab884fffe3fc-2/x86_64", "chiaki-ng-git@2176_2026.09.07-1/x86_64", "mingw-w64-clang-x86_64-llvm@22.1.8-2/any", "libyuv@r2266+eb6e7bb6-1/x86_64",
		},
		refused: []string{"ffmpeg@2:7.1-5/x86_64^", "ffmpeg@2:7.1-5/x86_64^-x", "ffmpeg@2:7.1-5/x86_64^.x", "ffmpeg 2:7.1-5", "ffmpeg@2:7.1-5//x86_64"},
	}
	for build, file := range map[string]string{
		"ffmpeg@2:7.1-5/x86_64":                            "ffmpeg-2:7.1-5-x86_64.pkg.tar.zst",
		"pipewire@1:1.2.7-1/x86_64":                        "gst-plugin-pipewire-1:1.2.7-1-x86_64.pkg.tar.zst",
		"linux@6.9.4.arch1-1/x86_64":                       "linux-6.9.4.arch1-1-x86_64.pkg.tar.zst",
		"libyuv@r2266+eb6e7bb6-1/x86_64":                   "libyuv-r2266+eb6e7bb6-1-x86_64.pkg.tar.zst",
		"glibc@2.40+r16+gaa533d58ff-2/x86_64":              "lib32-glibc-2.40+r16+gaa533d58ff-2-x86_64.pkg.tar.zst",
		"libc++@18.1.8-1/x86_64":                           "libc++abi-18.1.8-1-x86_64.pkg.tar.zst",
		"mingw-w64-qt-creator@13.0.1-1/any":                "mingw-w64-x86_64-qt-creator-13.0.1-1-any.pkg.tar.zst",
		"r@4.4.2-1/x86_64":                                 "r-4.4.2-1-x86_64.pkg.tar.xz",
		"go@2:1.23.4-1/x86_64":                             "go-2:1.23.4-1-x86_64.pkg.tar.zst.sig",
		"qt6-base@6.8.1-2/x86_64":                          "qt6-base-debug-6.8.1-2-x86_64.pkg.tar.zst",
		"snapshot@1.0^20240101-1/x86_64":                   "snapshot-1.0^20240101-1-x86_64.pkg.tar.zst",
		"systemd@257.1-1/x86_64":                           "systemd@boot-257.1-1-x86_64.pkg.tar.zst",
		"ca-certificates-mozilla@3.107-1/x86_64":           "ca-certificates-mozilla-3.107-1-x86_64.pkg.tar.zst",
		"xf86-input-vmmouse@13.2.0-1/x86_64":               "xf86-input-vmmouse-13.2.0-1-x86_64.pkg.tar.zst",
		"nvidia-utils@565.77-2/x86_64":                     "nvidia-utils-565.77-2-x86_64.pkg.tar.zst",
		"perl-www-mechanize@2.19-1/any":                    "perl-www-mechanize-2.19-1-any.pkg.tar.zst",
		"python-typing_extensions@4.12.2-3/any":            "python-typing_extensions-4.12.2-3-any.pkg.tar.zst",
		"_private@1-1/any":                                 "_private-1-1-any.pkg.tar.zst",
		"haskell-http-client-tls@0.3.6.3-162/x86_64":       "haskell-http-client-tls-0.3.6.3-162-x86_64.pkg.tar.zst",
		"ttf-ms-win10-auto@10.0.19043.928~sr1-1/any":       "ttf-ms-win10-auto-10.0.19043.928~sr1-1-any.pkg.tar.zst",
		"archlinux-keyring@20241203-1/any":                 "archlinux-keyring-20241203-1-any.pkg.tar.zst",
		"libretro-mupen64plus-next@1:r1254.g4a2a2fd-1/any": "libretro-mupen64plus-next-1:r1254.g4a2a2fd-1-any.pkg.tar.zst",
	} {
		table.builds = append(table.builds, build)
		table.outputs = append(table.outputs, parted{build + "^" + file, build, file})
	}
	table.outputs = append(table.outputs, parted{key: "core/os/x86_64/dbus-1:1.14.10-2-x86_64.pkg.tar.zst"})
	table.check(t, ecosystem.Arch)
}
