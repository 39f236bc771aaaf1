package collect

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"repronet.dev/ecosystem"
	"repronet.dev/internal/durable"
)

// Environment returns the traits of this machine that every build on it has.
// What is built is on the file system of path.
func Environment(path string) map[string]string {
	env := machine()
	env["system"] = system()
	env["os"] = osRelease()
	env["filesystem"] = filesystem(path)
	return prune(env)
}

// NixEnvironment returns the traits of a build on a platform under the settings of Nix, as
// 'nix config show' writes them; cache is as in [NixBuild].
func NixEnvironment(ctx context.Context, platform, config, cache string) (map[string]string, error) {
	values := settings(config)
	store, err := openStore(values["store"])
	if err != nil {
		return nil, err
	}
	return nixEnvironment(ctx, platform, values, store, cache), nil
}

func nixEnvironment(ctx context.Context, platform string, config map[string]string, store *nixStore, cache string) map[string]string {
	env := machine()
	env["system"] = platform
	env["filesystem"] = filesystem(store.real)
	env["nix"] = withStore(nixVersion(ctx, cache), config, store)
	env["sandbox"] = "true"
	if v, ok := config["sandbox"]; ok {
		env["sandbox"] = v
	}
	env["buildDir"] = buildDir(env["sandbox"], config, os.Getenv("TMPDIR"))
	return prune(env)
}

// withStore adds to Nix's version what kind of store it builds in, where that is not the
// usual one: at [ecosystem.NixStore], with users of its own for builds. A trait of its own
// would be refused by programs of version 0.1 (docs/decisions/0008-values-of-traits.md).
func withStore(version string, config map[string]string, store *nixStore) string {
	users, told := config["build-users-group"]
	switch {
	case version == "":
		return ""
	case store.real != filepath.Clean(ecosystem.NixStore):
		return version + " in a relocated store"
	case told && users == "" && config["auto-allocate-uids"] != "true":
		return version + " in a single-user store"
	}
	return version
}

// buildDir says whether a build saw the directory that builds usually see. In a sandbox
// that is the one of sandbox-build-dir, wherever its files are outside; without one it
// is below build-dir, or else TMPDIR.
func buildDir(sandbox string, config map[string]string, tmpdir string) string {
	usual := false
	if sandbox == "false" {
		usual = config["build-dir"] == "" && (tmpdir == "" || tmpdir == "/tmp")
	} else {
		dir := config["sandbox-build-dir"]
		usual = dir == "" || dir == "/build"
	}
	if usual {
		return "default"
	}
	return "other"
}

func machine() map[string]string {
	return map[string]string{
		"kernel": kernel(),
		"cpu":    cpu(),
		"cores":  strconv.Itoa(runtime.NumCPU()),
		"tz":     time.Now().Format("-07:00"),
		"locale": locale(),
		"umask":  umask(),
	}
}

// The values that are worth publishing look like one of these; what does not
// could be something that a person wrote.
var traitPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._+@:()/-]*$|^[+-]\d\d:\d\d$`)

// prune drops what is unknown and what looks like no trait.
func prune(env map[string]string) map[string]string {
	for name, value := range env {
		if len(value) > 100 || !traitPattern.MatchString(value) {
			delete(env, name)
		}
	}
	return env
}

var versionPattern = regexp.MustCompile(`^\d+(\.\d+)*`)

// kernel returns the version without what a distribution or person added to it.
func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return versionPattern.FindString(string(text))
}

// cpu returns the processor's model, where the kernel says it.
func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

var localePattern = regexp.MustCompile(`^[A-Za-z]+(_[A-Z]+)?(\.[A-Za-z0-9-]+)?(@[a-z]+)?$`)

func locale() string {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			return localePattern.FindString(value)
		}
	}
	return "C"
}

// umask returns the process's file mode mask; reading it any other way would
// change it.
func umask() string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Umask:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(value), 8, 16)
			if err != nil {
				return ""
			}
			return fmt.Sprintf("%03o", mask)
		}
	}
	return ""
}

// system returns the platform as Nix writes it.
func system() string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return arch + "-" + runtime.GOOS
}

func osRelease() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	values := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"'`)
	}
	return strings.TrimSpace(values["ID"] + " " + values["VERSION_ID"])
}

// filesystems are the magic numbers of statfs(2) and linux/magic.h.
var filesystems = map[int64]string{
	0xef53: "ext4", 0x9123683e: "btrfs", 0x58465342: "xfs", 0x2fc12fc1: "zfs", 0x01021994: "tmpfs",
	0x794c7630: "overlayfs", 0xf2f52010: "f2fs", 0xca451a4e: "bcachefs", 0x6969: "nfs", 0x01021997: "9p",
	0x52654973: "reiserfs", 0x65735546: "fuse", 0x73717368: "squashfs", 0xe0f5e1e2: "erofs",
}

func filesystem(path string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return ""
	}
	return filesystems[int64(s.Type)&0xffffffff]
}

// nixVersion returns the version of the Nix that runs the hook. Asking takes as
// long as all the rest of a hook, so the answer is kept in cache.
func nixVersion(ctx context.Context, cache string) string {
	program := nixProgram()
	if program == "" {
		return ""
	}
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	identity := fmt.Sprintf("%s %d %d named", program, info.Size(), info.ModTime().UnixNano())
	file := filepath.Join(cache, "nix-version")
	if cache != "" {
		if text, err := os.ReadFile(file); err == nil {
			if known, version, _ := strings.Cut(string(text), "\n"); known == identity {
				return version
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, program, "--version")
	command.Args[0] = "nix"
	out, err := command.Output()
	if err != nil {
		return ""
	}
	version := implementation(string(out))
	if version == "" {
		return ""
	}
	if cache != "" {
		_ = durable.WriteFile(file, []byte(identity+"\n"+version), 0o644)
	}
	return version
}

// implementation reads the answer of --version, "nix (Nix) 2.28.3" or "nix (Lix, like Nix)
// 2.91.0". One that is not Nix itself is named after its version, as the two number
// theirs apart.
func implementation(answer string) string {
	answer, _, _ = strings.Cut(answer, "\n")
	fields := strings.Fields(answer)
	if len(fields) == 0 {
		return ""
	}
	version := fields[len(fields)-1]
	if !versionPattern.MatchString(version) {
		return ""
	}
	_, name, _ := strings.Cut(answer, "(")
	name, _, _ = strings.Cut(name, ")")
	name, _, _ = strings.Cut(name, ",")
	if name != "" && name != "Nix" {
		version += " (" + name + ")"
	}
	return version
}

// nixProgram returns the program file of the Nix that started this process, or
// the one in PATH. A daemon of an earlier version may run long after an upgrade.
func nixProgram() string {
	for pid, n := os.Getppid(), 0; pid > 1 && n < 4; n++ {
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && strings.HasPrefix(filepath.Base(program), "nix") {
			return strings.TrimSuffix(program, " (deleted)")
		}
		if pid = parent(pid); pid == 0 {
			break
		}
	}
	program, err := exec.LookPath("nix")
	if err != nil {
		return ""
	}
	return program
}

func parent(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is in parentheses and may contain anything.
	i := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text)[i+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}
